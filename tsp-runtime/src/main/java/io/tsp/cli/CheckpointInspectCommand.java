package io.tsp.cli;

import io.tsp.checkpoint.sharded.Checkpoint;
import io.tsp.checkpoint.sharded.Verify;
import io.tsp.report.CheckpointReport;
import io.tsp.report.ReportFile;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Shows what a checkpoint is. */
@Command(
        name = "inspect",
        description = "Shows step, scheme, state and files of a checkpoint, without reading the weights.",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        footerHeading = "%nExamples:%n",
        footer = "  tsp checkpoint inspect run/step-000100")
final class CheckpointInspectCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(paramLabel = "CHECKPOINT", description = "A folder step-N.")
    private Path directory = Path.of("");

    @Option(names = "--json", paramLabel = "FILE", description = "Write it as JSON, too.")
    private @Nullable Path json;

    CheckpointInspectCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        try (ReportFile file = json == null ? null : ReportFile.create(json);
                Checkpoint checkpoint = Checkpoint.open(directory, Verify.STRUCTURE)) {
            CheckpointReport report = new CheckpointReport(
                    checkpoint.config().family(),
                    checkpoint.config().parameterCount(),
                    checkpoint.info(),
                    checkpoint.entries());
            report.lines().forEach(terminal.out()::println);
            if (file != null) {
                file.write(report::write);
            }
        }
        return ExitCode.OK.code();
    }
}
