package io.tsp.device;

import java.time.Duration;

/** A queue of work that runs in order, beside other streams. Used by one host thread at a time. */
public interface Stream {
    /** Whose work goes first where hardware has to choose. */
    enum Priority {
        NORMAL,
        /** For short work that others wait for, such as exchanges. */
        HIGH
    }

    /** The vendor's queue, for launches that put their work on it; 0 where a launch is the work itself, as on CPUs. */
    long handle();

    /** Puts work at the end of the queue. */
    void enqueue(Launch launch);

    /**
     * Puts work of the host at the end of the queue: it finds what was enqueued before it done, and nothing behind it
     * begun.
     */
    void enqueueHost(Runnable work);

    /** Puts a marker at the end of the queue. */
    Event record();

    /** Makes later work of this stream wait for a marker of another one. */
    void await(Event event);

    /**
     * Blocks the host until the queue is empty.
     *
     * @throws RuntimeException the first failure of the queue's work
     * @throws DeadlineException if no work of the queue is finished for this long
     */
    void synchronize(Duration deadline);

    /**
     * Drops what is queued and waits for the work in progress.
     *
     * @return whether nothing runs any more; if not, memory that the work uses must not be freed
     */
    boolean stop(Duration deadline);

    /** A marker in a stream. */
    interface Event {
        /** When the stream reached it, in nanoseconds of the device's clock; valid after synchronize. */
        long nanos();
    }
}
