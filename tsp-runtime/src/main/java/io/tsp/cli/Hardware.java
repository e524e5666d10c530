package io.tsp.cli;

import io.tsp.evaluate.AvailableMemory;
import io.tsp.program.Cluster;
import java.time.Duration;

/** What ranks of this process compute on, with its libraries loaded. */
interface Hardware extends AutoCloseable {
    /** What a report calls it: {@code cpu}, or {@code cuda} with the GPU and the architecture of its kernels. */
    String name();

    /**
     * What a sentence calls it.
     *
     * @param threads CPU threads over all ranks
     */
    String description(int threads);

    /**
     * Makes ranks, all in this process.
     *
     * @param threads CPU threads over all ranks
     * @param deadline the longest wait
     */
    Cluster cluster(int ranks, int threads, Duration deadline);

    /** What is free now. */
    AvailableMemory memory();

    @Override
    void close();
}
