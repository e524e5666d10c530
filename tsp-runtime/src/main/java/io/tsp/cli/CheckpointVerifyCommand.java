package io.tsp.cli;

import io.tsp.checkpoint.sharded.Checkpoint;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Reads a whole checkpoint and says whether it is sound. */
@Command(
        name = "verify",
        description = {
            "Reads every file of a checkpoint, compares lengths and SHA-256 with the manifest, and checks that the parts of"
                    + " every weight make it whole.",
            "",
            "Exits with 65 and names the file if something is wrong."
        },
        mixinStandardHelpOptions = true,
        sortOptions = false,
        descriptionHeading = "%n",
        footerHeading = "%nExamples:%n",
        footer = "  tsp checkpoint verify run/step-000100")
final class CheckpointVerifyCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(paramLabel = "CHECKPOINT", description = "A folder step-N.")
    private Path directory = Path.of("");

    CheckpointVerifyCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            terminal.out()
                    .println(directory + " is sound: step " + checkpoint.info().step() + ", "
                            + checkpoint.entries().size() + " files");
        }
        return ExitCode.OK.code();
    }
}
