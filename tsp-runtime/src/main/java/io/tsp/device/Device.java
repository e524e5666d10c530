package io.tsp.device;

import io.tsp.op.ComputeOp;

/** One rank's share of a piece of hardware. */
public interface Device extends AutoCloseable {
    /** What a user would call it, such as {@code cpu avx512bf16, 2 threads}. */
    String description();

    /**
     * Memory of at least this many bytes, aligned for every kernel.
     *
     * @throws OutOfMemoryException if the device does not have it
     */
    Buffer allocate(long bytes);

    /** A new queue of work that runs in order. */
    Stream openStream(String name, Stream.Priority priority);

    /** A new queue of ordinary work. */
    default Stream openStream(String name) {
        return openStream(name, Stream.Priority.NORMAL);
    }

    /** How work of a stream of this device moves bytes between ranks of this process. */
    Transfers transfers(Stream stream);

    /** The primitive for an op, made once for each distinct op. */
    Kernel prepare(ComputeOp op);

    /** Frees what the device made; its streams have been stopped before. */
    @Override
    void close();

    /** The device has not the memory that was asked for. */
    final class OutOfMemoryException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        public OutOfMemoryException(String message) {
            super(message);
        }
    }
}
