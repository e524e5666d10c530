package io.tsp.parity;

import io.tsp.device.Device;
import io.tsp.device.OrderedSum;
import io.tsp.device.cpu.Cores;
import io.tsp.device.cpu.CpuDevice;
import io.tsp.device.cpu.CpuOrderedSum;
import io.tsp.device.gpu.FakeGpuRuntime;
import io.tsp.device.gpu.GpuDevice;
import io.tsp.device.gpu.HostKernels;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.Openmp;
import org.jspecify.annotations.Nullable;

/**
 * Kernels of one instruction set and oneDNN, for ranks that share two cores.
 *
 * @param gpus ranks share this many fake GPUs, which compute with the same kernels; 0 for ranks on the CPU
 */
record HostLibraries(KernelTable kernels, Dnnl dnnl, OrderedSum orderedSum, int gpus) implements Libraries {
    private static final int CORES = 2;
    private static final int MOST_GPUS = 8;

    static HostLibraries load(@Nullable String isa) {
        NativeLibraries libraries = NativeLibraries.standard();
        Openmp openmp = Openmp.load(libraries);
        KernelTable kernels = KernelTable.open(libraries.load(NativeLibrary.KERNELS_CPU), isa);
        return new HostLibraries(kernels, Dnnl.load(libraries, openmp), new CpuOrderedSum(kernels), 0);
    }

    /** The same libraries for ranks on fake GPUs. */
    Libraries onGpus(int count) {
        return new HostLibraries(kernels, dnnl, orderedSum, count);
    }

    @Override
    public Devices devices(int count) {
        Cores cores = new Cores(CORES);
        int threads = count == 1 ? CORES : 1;
        if (gpus == 0) {
            return rank -> new CpuDevice(kernels, dnnl, threads, cores);
        }
        FakeGpuRuntime runtime = new FakeGpuRuntime(MOST_GPUS);
        return new Devices() {
            @Override
            public Device open(int rank) {
                return new GpuDevice(
                        runtime,
                        new GpuDevice.Rank(rank, rank % gpus, "fake", false),
                        new HostKernels(runtime, new CpuDevice(kernels, dnnl, threads, cores), orderedSum));
            }

            @Override
            public String leaks() {
                return runtime.leaks();
            }
        };
    }

    @Override
    public void close() {
        dnnl.close();
    }
}
