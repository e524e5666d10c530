package io.tsp.device;

/**
 * How exchanges between ranks of one process move bytes, in the order of one stream: on CPUs at once, on GPUs when the
 * stream gets there. Only work of that stream may call it.
 */
public interface Transfers extends OrderedSum {
    /** Copies bytes that do not overlap, to or from memory of any rank of this process. */
    void copy(long target, long source, long bytes);

    /** A marker behind everything that this stream was given so far. */
    Stream.Event mark();

    /** Makes what follows on this stream wait for a marker of another one, of any rank of this process. */
    void await(Stream.Event event);
}
