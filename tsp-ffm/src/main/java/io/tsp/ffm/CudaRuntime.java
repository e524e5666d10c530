package io.tsp.ffm;

import static io.tsp.ffm.generated.cudart.cudart_h.*;
import static io.tsp.ffm.generated.cudart.tsp_cudart.*;

import io.tsp.ffm.generated.cudart.tsp_cudart;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;

/**
 * The CUDA runtime, version 12 or 13. Stateless; safe for use by several threads.
 *
 * @see <a href="https://docs.nvidia.com/cuda/cuda-runtime-api/">CUDA Runtime API</a>
 */
public final class CudaRuntime implements GpuRuntime {
    private static final int OLDEST = 12000;

    private final Path library;
    private final MemorySegment cuda;
    private final CudaStatus status;
    private final CudaDevices devices;
    private final int runtimeVersion;

    private CudaRuntime(Path library, MemorySegment cuda) {
        this.library = library;
        this.cuda = cuda;
        status = new CudaStatus(cuda);
        devices = new CudaDevices(cuda, status);
        runtimeVersion = devices.runtimeVersion();
    }

    /**
     * Loads the runtime; needs neither a driver nor a GPU.
     *
     * @throws NativeLibraryException if it is missing, cannot be loaded or is older than 12.0
     */
    public static CudaRuntime load(GpuLibraries libraries) {
        return open(libraries.find(GpuLibrary.CUDART));
    }

    /** As {@link #load}, from this file. */
    public static CudaRuntime open(Path library) {
        Symbols symbols = Symbols.load(library, "CUDA", "12.0", Map.of());
        CudaRuntime runtime = new CudaRuntime(symbols.library(), symbols.table(tsp_cudart.layout()));
        GpuLibrary.CUDART.requireVersion(library, runtime.runtimeVersion, OLDEST, CudaStatus.text(OLDEST));
        return runtime;
    }

    /** The file that is in use. */
    public Path library() {
        return library;
    }

    @Override
    public String name() {
        return CudaStatus.LIBRARY;
    }

    @Override
    public int driverVersion() {
        return devices.driverVersion();
    }

    @Override
    public int runtimeVersion() {
        return runtimeVersion;
    }

    @Override
    public int deviceCount() {
        return devices.count(library, runtimeVersion);
    }

    @Override
    public GpuProperties properties(int device) {
        return devices.properties(device);
    }

    @Override
    public boolean canAccessPeer(int device, int peer) {
        return devices.canAccessPeer(device, peer);
    }

    @Override
    public void enablePeerAccess(int device, int peer) {
        setDevice(device);
        int code = cudaDeviceEnablePeerAccess.invoke(cudaDeviceEnablePeerAccess(cuda), peer, 0);
        if (code == cudaErrorPeerAccessAlreadyEnabled()) {
            status.forget();
        } else {
            status.check(code, "cudaDeviceEnablePeerAccess to device " + peer, device);
        }
    }

    @Override
    public long allocate(int device, long bytes) {
        requireBytes(bytes);
        setDevice(device);
        return status.pointer(
                "cudaMalloc of " + bytes + " bytes", device, out -> cudaMalloc.invoke(cudaMalloc(cuda), out, bytes));
    }

    @Override
    public void free(int device, long address) {
        setDevice(device);
        status.check(cudaFree.invoke(cudaFree(cuda), at(address)), "cudaFree", device);
    }

    @Override
    public long allocateHost(long bytes) {
        requireBytes(bytes);
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.ADDRESS);
            int code = cudaHostAlloc.invoke(cudaHostAlloc(cuda), out, bytes, cudaHostAllocPortable());
            if (code != cudaSuccess()) {
                throw status.failure(code, "cudaHostAlloc of " + bytes + " bytes");
            }
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    private static void requireBytes(long bytes) {
        if (bytes <= 0) {
            throw new IllegalArgumentException("An allocation needs more than zero bytes, got " + bytes);
        }
    }

    @Override
    public void freeHost(long address) {
        status.check(cudaFreeHost.invoke(cudaFreeHost(cuda), at(address)), "cudaFreeHost");
    }

    @Override
    public long createStream(int device, int priority) {
        setDevice(device);
        try (Arena call = Arena.ofConfined()) {
            MemorySegment least = call.allocate(ValueLayout.JAVA_INT);
            MemorySegment greatest = call.allocate(ValueLayout.JAVA_INT);
            status.check(
                    cudaDeviceGetStreamPriorityRange.invoke(cudaDeviceGetStreamPriorityRange(cuda), least, greatest),
                    "cudaDeviceGetStreamPriorityRange",
                    device);
            int value = (priority > NORMAL_PRIORITY ? greatest : least).get(ValueLayout.JAVA_INT, 0);
            MemorySegment out = call.allocate(ValueLayout.ADDRESS);
            status.check(
                    cudaStreamCreateWithPriority.invoke(
                            cudaStreamCreateWithPriority(cuda), out, cudaStreamNonBlocking(), value),
                    "cudaStreamCreateWithPriority",
                    device);
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    @Override
    public void destroyStream(int device, long stream) {
        setDevice(device);
        status.check(cudaStreamDestroy.invoke(cudaStreamDestroy(cuda), at(stream)), "cudaStreamDestroy", device);
    }

    @Override
    public long createEvent(int device) {
        setDevice(device);
        return status.pointer(
                "cudaEventCreateWithFlags",
                device,
                out -> cudaEventCreateWithFlags.invoke(cudaEventCreateWithFlags(cuda), out, cudaEventDefault()));
    }

    @Override
    public void destroyEvent(int device, long event) {
        setDevice(device);
        status.check(cudaEventDestroy.invoke(cudaEventDestroy(cuda), at(event)), "cudaEventDestroy", device);
    }

    @Override
    public void record(int device, long event, long stream) {
        setDevice(device);
        status.check(cudaEventRecord.invoke(cudaEventRecord(cuda), at(event), at(stream)), "cudaEventRecord", device);
    }

    @Override
    public void await(int device, long stream, long event) {
        setDevice(device);
        status.check(
                cudaStreamWaitEvent.invoke(cudaStreamWaitEvent(cuda), at(stream), at(event), 0),
                "cudaStreamWaitEvent",
                device);
    }

    @Override
    public boolean isDone(int device, long event) {
        setDevice(device);
        int code = cudaEventQuery.invoke(cudaEventQuery(cuda), at(event));
        if (code == cudaErrorNotReady()) {
            status.forget();
            return false;
        }
        status.check(code, "cudaEventQuery", device);
        return true;
    }

    @Override
    public double elapsedMillis(int device, long start, long end) {
        setDevice(device);
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.JAVA_FLOAT);
            status.check(
                    cudaEventElapsedTime.invoke(cudaEventElapsedTime(cuda), out, at(start), at(end)),
                    "cudaEventElapsedTime",
                    device);
            return out.get(ValueLayout.JAVA_FLOAT, 0);
        }
    }

    @Override
    public void copy(int device, long target, long source, long bytes, long stream) {
        if (bytes == 0) {
            return;
        }
        setDevice(device);
        status.check(
                cudaMemcpyAsync.invoke(
                        cudaMemcpyAsync(cuda), at(target), at(source), bytes, cudaMemcpyDefault(), at(stream)),
                "cudaMemcpyAsync",
                device);
    }

    @Override
    public void fill(int device, long address, byte value, long bytes, long stream) {
        if (bytes == 0) {
            return;
        }
        setDevice(device);
        status.check(
                cudaMemsetAsync.invoke(
                        cudaMemsetAsync(cuda), at(address), Byte.toUnsignedInt(value), bytes, at(stream)),
                "cudaMemsetAsync",
                device);
    }

    @Override
    public void synchronize(int device, long stream) {
        setDevice(device);
        status.check(
                cudaStreamSynchronize.invoke(cudaStreamSynchronize(cuda), at(stream)), "cudaStreamSynchronize", device);
    }

    @Override
    public void setDevice(int device) {
        status.check(cudaSetDevice.invoke(cudaSetDevice(cuda), device), "cudaSetDevice", device);
    }

    @Override
    public long freeBytes(int device) {
        setDevice(device);
        try (Arena call = Arena.ofConfined()) {
            MemorySegment free = call.allocate(ValueLayout.JAVA_LONG);
            MemorySegment total = call.allocate(ValueLayout.JAVA_LONG);
            status.check(cudaMemGetInfo.invoke(cudaMemGetInfo(cuda), free, total), "cudaMemGetInfo", device);
            return free.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    private static MemorySegment at(long address) {
        return MemorySegment.ofAddress(address);
    }
}
