package io.tsp.device;

import java.time.Duration;

/** A queue of work that runs in order, beside other streams. Used by one host thread at a time. */
public interface Stream extends AutoCloseable {
    /** Puts work at the end of the queue. */
    void enqueue(Launch launch);

    /** Puts a marker at the end of the queue. */
    Event record();

    /** Makes later work of this stream wait for a marker of another one. */
    void await(Event event);

    /**
     * Blocks the host until the queue is empty.
     *
     * @throws RuntimeException the first failure of the queue's work
     * @throws DeadlineException if it takes longer
     */
    void synchronize(Duration deadline);

    /** Waits for work in progress, drops the rest. */
    @Override
    void close();

    /** A marker in a stream. */
    interface Event {
        /** When the stream reached it, in nanoseconds of the device's clock; valid after synchronize. */
        long nanos();
    }
}
