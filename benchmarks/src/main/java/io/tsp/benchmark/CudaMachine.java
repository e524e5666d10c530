package io.tsp.benchmark;

import io.tsp.device.Device;
import io.tsp.device.gpu.GpuDevice;
import io.tsp.device.gpu.VendorKernels;
import io.tsp.ffm.CublasLt;
import io.tsp.ffm.CudaRuntime;
import io.tsp.ffm.GpuLibraries;
import io.tsp.ffm.GpuMatmul;
import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.MatmulSpec;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.tensor.DType;
import java.util.function.LongConsumer;

/** The first NVIDIA GPU. Its peak is what cuBLASLt makes of a large product. */
final class CudaMachine implements Machine {
    private static final int GPU = 0;
    private static final long PEAK_SIZE = 8192;
    private static final int ATTEMPTS = 5;

    private final CudaRuntime runtime;
    private final GpuLibraries libraries;
    private final KernelTable table;

    private CudaMachine(CudaRuntime runtime, GpuLibraries libraries, KernelTable table) {
        this.runtime = runtime;
        this.libraries = libraries;
        this.table = table;
    }

    /** @throws io.tsp.ffm.NativeLibraryException if there is no GPU, or a library is missing or does not fit this build */
    static CudaMachine open() {
        GpuLibraries libraries = GpuLibraries.standard();
        CudaRuntime runtime = CudaRuntime.load(libraries);
        runtime.deviceCount();
        runtime.setDevice(GPU);
        KernelTable table = KernelTable.open(NativeLibraries.standard().load(NativeLibrary.KERNELS_CUDA), null);
        return new CudaMachine(runtime, libraries, table);
    }

    /** Whether kernels run on the CPU, in a time that says nothing. */
    boolean isEmulated() {
        return runtime.properties(GPU).name().contains("emulator");
    }

    @Override
    public Device device(int rank) {
        return new GpuDevice(
                runtime,
                new GpuDevice.Rank(rank, GPU, runtime.name(), false),
                new VendorKernels(table, CublasLt.load(libraries, runtime, GPU)));
    }

    @Override
    public double peakGflops(DType dtype) {
        if (isEmulated()) {
            return Double.NaN;
        }
        long bytes = PEAK_SIZE * PEAK_SIZE * Float.BYTES;
        long memory = runtime.allocate(GPU, 3 * bytes);
        zero(memory, 3 * bytes);
        try (CublasLt cublas = CublasLt.load(libraries, runtime, GPU);
                GpuMatmul product = cublas.matmul(spec(dtype))) {
            long workspace = runtime.allocate(GPU, Math.max(1, product.workspaceBytes()));
            double seconds =
                    best(stream -> product.execute(memory, memory + bytes, 0, memory + 2 * bytes, workspace, stream));
            runtime.free(GPU, workspace);
            return 2 * Math.pow(PEAK_SIZE, 3) / seconds / 1e9;
        } finally {
            runtime.free(GPU, memory);
        }
    }

    /** Whatever is there might not be numbers. */
    private void zero(long memory, long bytes) {
        best(stream -> runtime.fill(GPU, memory, (byte) 0, bytes, stream));
    }

    private static MatmulSpec spec(DType dtype) {
        Dtype type = dtype == DType.BF16 ? Dtype.BF16 : Dtype.F32;
        Matrix square = Matrix.of(type, PEAK_SIZE);
        return new MatmulSpec(
                PEAK_SIZE,
                PEAK_SIZE,
                PEAK_SIZE,
                square,
                Matrix.transposed(type, PEAK_SIZE),
                MatmulSpec.Bias.NONE,
                square,
                false);
    }

    @Override
    public double copyBandwidth(long target, long source, long bytes) {
        return isEmulated()
                ? Double.NaN
                : 2.0 * bytes / best(stream -> runtime.copy(GPU, target, source, bytes, stream)) / 1e9;
    }

    /** Seconds of the fastest of some attempts, by the device's clock. */
    private double best(LongConsumer work) {
        long stream = runtime.createStream(GPU, GpuRuntime.NORMAL_PRIORITY);
        long begin = runtime.createEvent(GPU);
        long end = runtime.createEvent(GPU);
        double best = Double.POSITIVE_INFINITY;
        for (int i = 0; i < ATTEMPTS; i++) {
            runtime.record(GPU, begin, stream);
            work.accept(stream);
            runtime.record(GPU, end, stream);
            runtime.synchronize(GPU, stream);
            best = Math.min(best, runtime.elapsedMillis(GPU, begin, end) / 1e3);
        }
        runtime.destroyEvent(GPU, begin);
        runtime.destroyEvent(GPU, end);
        runtime.destroyStream(GPU, stream);
        return best;
    }

    @Override
    public void close() {}
}
