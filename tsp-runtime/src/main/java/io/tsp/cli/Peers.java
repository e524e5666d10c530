package io.tsp.cli;

import io.tsp.evaluate.AvailableMemory;
import io.tsp.program.Cluster;
import java.time.Duration;

/** The processes that a launcher has started, this one among them. */
interface Peers {
    /** There is no launcher: this process has all ranks. */
    Peers NONE = new Peers() {
        @Override
        public int size() {
            return 1;
        }

        @Override
        public AvailableMemory memory(Hardware hardware) {
            return hardware.memory();
        }

        @Override
        public Cluster cluster(int threads, Duration deadline) {
            throw new IllegalStateException("there are no other processes");
        }

        @Override
        public void fail(String sentence) {}

        @Override
        public void close(boolean failed) {}
    };

    /** Number of all processes. */
    int size();

    /** Memory that is free for the rank of this process. */
    AvailableMemory memory(Hardware hardware);

    /**
     * The ranks, of which one is here.
     *
     * @param threads CPU threads over all ranks
     * @param deadline the longest wait
     */
    Cluster cluster(int threads, Duration deadline);

    /** Tells the others that this rank cannot go on, where that is possible. */
    void fail(String sentence);

    /** @param failed whether this rank leaves without the others */
    void close(boolean failed);
}
