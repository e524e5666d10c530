package io.tsp.cli;

import io.tsp.scheme.Recompute;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What the backward pass computes again. */
final class RecomputeOption {
    @Option(
            names = "--recompute",
            paramLabel = "HOW",
            description = "What training computes again instead of keeping it: none, selective (all of a sub-layer but"
                    + " attention) or full. Default: selective.")
    private @Nullable String recompute;

    boolean isGiven() {
        return recompute != null;
    }

    Recompute get() {
        return switch (recompute == null ? "selective" : recompute) {
            case "none" -> Recompute.NONE;
            case "selective" -> Recompute.SELECTIVE;
            case "full" -> Recompute.FULL;
            default -> throw new UsageException("--recompute is none, selective or full, not " + recompute);
        };
    }
}
