package io.tsp.ffm;

/**
 * The runtime API of a GPU vendor, as far as it is used here. Stateless: every call names its device. Addresses and
 * handles are the vendor's pointers; none may be followed from Java, except what {@link #allocateHost} returns.
 *
 * <p>Safe for use by several threads. Every method that talks to a device throws {@link GpuException} with the vendor's
 * code, name and text if the vendor refuses; a failure of work that was enqueued before may surface in any of them.
 */
public interface GpuRuntime {
    /** Priority of a stream beside which nothing needs to be faster. */
    int NORMAL_PRIORITY = 0;

    /** Priority of a stream whose work goes before that of normal ones. */
    int HIGH_PRIORITY = 1;

    /** What the vendor calls it, such as {@code CUDA}. */
    String name();

    /** The newest runtime that the installed driver can serve, major * 1000 + minor * 10; 0 without a driver. */
    int driverVersion();

    /** The loaded runtime, major * 1000 + minor * 10. */
    int runtimeVersion();

    /**
     * Devices that this process may use, at least one.
     *
     * @throws NativeLibraryException if there is no device, no driver, or one that is too old for this runtime
     */
    int deviceCount();

    /** What {@code device}, counted from 0, is. */
    GpuProperties properties(int device);

    /** True if {@code device} can read and write the memory of {@code peer} itself. */
    boolean canAccessPeer(int device, int peer);

    /** Lets {@code device} read and write the memory of {@code peer}; again does nothing. */
    void enablePeerAccess(int device, int peer);

    /**
     * Memory of the device, aligned to at least 256 bytes.
     *
     * @param bytes more than zero
     * @throws GpuOutOfMemoryException if the device does not have it
     */
    long allocate(int device, long bytes);

    /** Waits for the device's work, then frees. */
    void free(int device, long address);

    /**
     * Pinned memory of the host, which every device can copy from and to asynchronously.
     *
     * @param bytes more than zero
     * @throws GpuOutOfMemoryException if the host does not have it
     */
    long allocateHost(long bytes);

    /** Frees pinned memory that no copy uses any more. */
    void freeHost(long address);

    /**
     * A queue of work that runs in order and does not wait for the default stream.
     *
     * @param priority {@link #NORMAL_PRIORITY} or {@link #HIGH_PRIORITY}
     */
    long createStream(int device, int priority);

    /** Returns at once; work that is still enqueued will be done. */
    void destroyStream(int device, long stream);

    /** An event that can be timed. */
    long createEvent(int device);

    /** Returns at once; waits for the event that are already enqueued stay valid. */
    void destroyEvent(int device, long event);

    /** Enqueues that the event happens once all work before it in {@code stream} is done. */
    void record(int device, long event, long stream);

    /**
     * Enqueues that work after this in {@code stream} waits for the last {@link #record} of the event that was called
     * before; returns at once. The event may be another device's.
     */
    void await(int device, long stream, long event);

    /** True once the last recorded event has happened, and if it was never recorded. */
    boolean isDone(int device, long event);

    /** Milliseconds between two events that have happened. */
    double elapsedMillis(int device, long start, long end);

    /**
     * Enqueues a copy in {@code stream}, a stream of {@code device}. Either address may be the device's, another
     * device's, or pinned memory of the host. Does nothing for zero bytes.
     */
    void copy(int device, long target, long source, long bytes, long stream);

    /** Enqueues that every byte becomes {@code value}. Does nothing for zero bytes. */
    void fill(int device, long address, byte value, long bytes, long stream);

    /** Blocks until everything enqueued in {@code stream} is done. */
    void synchronize(int device, long stream);

    /** Makes {@code device} the calling thread's: needed before kernels, which launch on the thread's device. */
    void setDevice(int device);

    /** Memory of the device that nothing has allocated, in bytes. */
    long freeBytes(int device);
}
