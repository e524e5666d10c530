package io.tsp.ffm;

import static io.tsp.ffm.generated.cublaslt.tsp_cublaslt.*;

import io.tsp.ffm.generated.cublaslt.tsp_cublaslt;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;

/**
 * cuBLASLt, version 12 or 13, on one device. Prepares {@link GpuMatmul}s, which must be closed before it; safe for use by
 * several threads.
 *
 * @see <a href="https://docs.nvidia.com/cuda/cublas/#using-the-cublaslt-api">Using the cuBLASLt API</a>
 */
public final class CublasLt implements AutoCloseable {
    private static final long OLDEST = 120000;

    private final Path library;
    private final CublasLtCalls calls;
    private final GpuRuntime runtime;
    private final int device;
    private final MemorySegment handle;
    private boolean closed;

    private CublasLt(Path library, CublasLtCalls calls, GpuRuntime runtime, int device) {
        this.library = library;
        this.calls = calls;
        this.runtime = runtime;
        this.device = device;
        runtime.setDevice(device);
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.ADDRESS);
            calls.check(
                    cublasLtCreate.invoke(cublasLtCreate(calls.table()), out), "cublasLtCreate on device " + device);
            handle = out.get(ValueLayout.ADDRESS, 0);
        }
    }

    /**
     * Loads cuBLASLt for a device.
     *
     * @param runtime with the device's context; used again by every product
     * @throws NativeLibraryException if it is missing, cannot be loaded or is older than 12.0
     */
    public static CublasLt load(GpuLibraries libraries, GpuRuntime runtime, int device) {
        return open(libraries.find(GpuLibrary.CUBLASLT), runtime, device);
    }

    /** As {@link #load}, from this file. */
    public static CublasLt open(Path library, GpuRuntime runtime, int device) {
        return new CublasLt(library, calls(library), runtime, device);
    }

    /**
     * The version of a file, such as {@code 13.1.1}; needs no GPU.
     *
     * @throws NativeLibraryException if it cannot be loaded or is older than 12.0
     */
    public static String version(Path library) {
        return calls(library).version();
    }

    private static CublasLtCalls calls(Path library) {
        Symbols symbols = Symbols.load(library, "cuBLASLt", "12.0", Map.of());
        CublasLtCalls calls = new CublasLtCalls(symbols.table(tsp_cublaslt.layout()));
        GpuLibrary.CUBLASLT.requireVersion(library, Math.toIntExact(calls.versionNumber()), (int) OLDEST, "12.0");
        return calls;
    }

    /** The file that is in use. */
    public Path library() {
        return library;
    }

    /** The running library's version, such as {@code 13.1.1}. */
    public String version() {
        return calls.version();
    }

    /**
     * Prepares a product.
     *
     * @param spec a bias needs dst's dtype
     * @throws NativeException with {@link Status#UNSUPPORTED} if this device cannot multiply these types
     */
    public GpuMatmul matmul(MatmulSpec spec) {
        return new GpuMatmul(calls, handle, runtime, device, spec);
    }

    /** Again does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            runtime.setDevice(device);
            calls.check(cublasLtDestroy.invoke(cublasLtDestroy(calls.table()), handle), "cublasLtDestroy");
        }
    }
}
