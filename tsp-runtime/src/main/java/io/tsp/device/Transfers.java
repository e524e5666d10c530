package io.tsp.device;

/**
 * How exchanges between ranks of one process move bytes, in the order of one stream: on CPUs at once, on GPUs when the
 * stream gets there. Only work of that stream may call it.
 */
public interface Transfers extends OrderedSum {
    /** Copies bytes that do not overlap, to or from memory of any rank of this process. */
    void copy(long target, long source, long bytes);

    /** Lets another library put its work on this stream: on GPUs the calls that work makes find the right one chosen. */
    void issue(Runnable work);

    /** A marker behind everything that this stream was given so far. */
    Stream.Event mark();

    /** Makes what follows on this stream wait for a marker of another one, of any rank of this process. */
    void await(Stream.Event event);
}
