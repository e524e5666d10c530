package io.tsp.cli;

import picocli.CommandLine.Option;

/** Who keeps what the optimizer keeps. */
final class ShardOptimizerOption {
    @Option(
            names = "--shard-optimizer",
            description =
                    "Divide master weights and moments between the ranks that hold the same weights (ZeRO-1, arXiv"
                            + " 1910.02054).")
    private boolean shardOptimizer;

    boolean get() {
        return shardOptimizer;
    }
}
