package io.tsp.parity;

import io.tsp.device.gpu.GpuDevice;
import io.tsp.device.gpu.VendorKernels;
import io.tsp.ffm.CublasLt;
import io.tsp.ffm.CudaRuntime;
import io.tsp.ffm.GpuLibraries;
import io.tsp.ffm.GpuLibrary;
import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/**
 * CUDA, cuBLASLt and the kernels for NVIDIA GPUs.
 *
 * @param gpus that the ranks share, at most as many as there are
 */
record CudaLibraries(GpuRuntime runtime, GpuLibraries libraries, KernelTable kernels, int gpus) implements Libraries {
    /** Those of this machine, for ranks that share the first GPU, as a machine with one would have it. */
    static CudaLibraries installed() {
        GpuLibraries libraries = GpuLibraries.standard();
        CudaRuntime runtime = CudaRuntime.load(libraries);
        runtime.setDevice(0);
        Path kernels = NativeLibraries.standard().load(NativeLibrary.KERNELS_CUDA);
        return new CudaLibraries(runtime, libraries, KernelTable.open(kernels, null), 1);
    }

    /** @param folder where the emulator, of as many GPUs as TSP_EMULATED_GPUS says, and the kernels for it are */
    static CudaLibraries emulated(Path folder, String isa) {
        String emulator = folder.resolve("libtsp_cuda_emulator.so").toString();
        GpuLibraries libraries = new GpuLibraries(
                Map.of(GpuLibrary.CUDART.variable(), emulator, GpuLibrary.CUBLASLT.variable(), emulator),
                folder,
                CudaLibraries.class.getClassLoader());
        CudaRuntime runtime = CudaRuntime.load(libraries);
        Path kernels = folder.resolve("libtsp_kernels_cuda_emulated.so");
        System.load(kernels.toString());
        return new CudaLibraries(runtime, libraries, KernelTable.open(kernels, isa), runtime.deviceCount());
    }

    @Override
    public Devices devices(int count) {
        return rank -> {
            int gpu = rank % gpus;
            return new GpuDevice(
                    runtime,
                    new GpuDevice.Rank(rank, gpu, runtime.name(), false),
                    new VendorKernels(kernels, CublasLt.load(libraries, runtime, gpu)));
        };
    }

    /** A busy machine emulates slowly. */
    @Override
    public Duration deadline() {
        return Duration.ofMinutes(5);
    }

    @Override
    public void close() {}
}
