package io.tsp.cli;

import io.tsp.checkpoint.sharded.Checkpoint;
import io.tsp.checkpoint.sharded.CheckpointInfo;
import io.tsp.checkpoint.sharded.CheckpointStore;
import io.tsp.checkpoint.sharded.Kind;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.train.Resharding;
import java.nio.file.Path;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a checkpoint again, cut for other ranks. */
@Command(
        name = "reshard",
        description = {
            "Writes a checkpoint again with the files that a scheme's ranks would have written; every value stays as it is.",
            "",
            "A model directory of Hugging Face can be given, too: it becomes a checkpoint of step 0 with an optimizer that"
                    + " has not begun."
        },
        mixinStandardHelpOptions = true,
        sortOptions = false,
        descriptionHeading = "%n",
        footerHeading = "%nExamples:%n",
        footer = "  tsp checkpoint reshard run/step-000100 --scheme tsp --degree 8 --out run8")
final class CheckpointReshardCommand implements Callable<Integer> {
    /** Nothing that is in the folder goes away. */
    private static final int KEEP_ALL = Integer.MAX_VALUE;

    private final Terminal terminal;

    @Parameters(paramLabel = "CHECKPOINT", description = "A folder step-N, or a model directory.")
    private Path directory = Path.of("");

    @Option(names = "--scheme", required = true, paramLabel = "NAME", description = "Whose ranks the files are for.")
    private String schemeName = "";

    @Mixin
    private final DegreeOptions degrees = new DegreeOptions();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "DIR",
            description = "Folder in which the new step-N is made; --resume of tsp train takes it from there.")
    private Path out = Path.of("");

    CheckpointReshardCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        degrees.requirePositive();
        Scheme scheme = degrees.scheme(schemeName, DegreeOptions.DEFAULT);
        try (OpenModel model = OpenModel.of(directory);
                CheckpointStore store = CheckpointStore.open(out, KEEP_ALL)) {
            Checkpoint checkpoint = model.checkpoint();
            CheckpointInfo info = checkpoint == null
                    ? CheckpointInfo.of(0, scheme.name(), 1, DType.F32, DType.F32, new TreeMap<>())
                    : checkpoint.info();
            Resharding resharding = new Resharding(
                    model.config(),
                    model.weights(),
                    checkpoint == null ? null : checkpoint.source(Kind.FIRST),
                    checkpoint == null ? null : checkpoint.source(Kind.SECOND));
            resharding.save(
                    store, scheme, info.step(), info.dtype(), info.moments(), info.state(), model.filesBesideWeights());
            terminal.out().println("saved as " + store.newest().orElseThrow());
        }
        return ExitCode.OK.code();
    }
}
