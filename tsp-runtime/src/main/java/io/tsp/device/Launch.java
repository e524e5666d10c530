package io.tsp.device;

/** An op with its operands, ready to run on its stream. On CPUs it is the work itself; on GPUs it enqueues the work. */
@FunctionalInterface
public interface Launch {
    void run();

    /** When the last peer had arrived, for exchanges between ranks, in the stream's nanoseconds; 0 if nobody waits. */
    default long peersArrivedNanos() {
        return 0;
    }
}
