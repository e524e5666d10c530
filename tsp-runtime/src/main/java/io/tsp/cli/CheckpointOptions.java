package io.tsp.cli;

import io.tsp.checkpoint.sharded.CheckpointStore;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where checkpoints go and come from. */
final class CheckpointOptions {
    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Required. Folder for checkpoints (step-000100 and so on) and the tokens of the text.")
    private @Nullable Path out;

    @Option(
            names = "--save-every",
            paramLabel = "N",
            description = "Steps between checkpoints; the last step is always saved. Default: a tenth of all.")
    private @Nullable Long every;

    @Option(names = "--keep", paramLabel = "N", description = "Checkpoints to keep, the newest ones. Default: 3.")
    private int keep = 3;

    @Option(
            names = "--resume",
            description = "Go on from the newest checkpoint in --out, under any scheme; begin if there is none.")
    private boolean resume;

    /** @throws UsageException if the user has named none */
    Path out() {
        if (out == null) {
            throw new UsageException("there is no folder for checkpoints; give --out DIR");
        }
        return out;
    }

    boolean isResuming() {
        return resume;
    }

    long every(long steps) {
        if (every != null && every < 1) {
            throw new UsageException("--save-every must be 1 or more, not " + every);
        }
        return every == null ? Math.max(1, steps / TrainCommand.PARTS) : every;
    }

    /**
     * The folder, which nobody else trains into.
     *
     * @param speaks whether this process has rank 0
     */
    CheckpointStore open(boolean speaks) {
        UsageException.positive("--keep", keep);
        return speaks ? CheckpointStore.open(out(), keep) : CheckpointStore.join(out());
    }

    /** The checkpoint to go on from, if there is one and the user wants it. */
    Optional<Path> start(CheckpointStore store) {
        Optional<Path> newest = store.newest();
        if (newest.isPresent() && !resume) {
            throw new UsageException("there is a checkpoint " + newest.get()
                    + " of an earlier run; add --resume to go on from it, or choose another --out");
        }
        return newest;
    }
}
