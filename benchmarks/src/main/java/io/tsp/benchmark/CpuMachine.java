package io.tsp.benchmark;

import io.tsp.device.Device;
import io.tsp.device.cpu.Cores;
import io.tsp.device.cpu.CpuDevice;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.Openmp;
import io.tsp.tensor.DType;

/** This machine's CPU. */
final class CpuMachine implements Machine {
    private final int threads;
    private final KernelTable table;
    private final Dnnl dnnl;
    private final Cores cores;
    private final Yardstick yardstick;

    CpuMachine(int threads) {
        this.threads = threads;
        NativeLibraries libraries = NativeLibraries.standard();
        Openmp openmp = Openmp.load(libraries);
        table = KernelTable.open(libraries.load(NativeLibrary.KERNELS_CPU), null);
        dnnl = Dnnl.load(libraries, openmp);
        cores = new Cores(threads);
        yardstick = Yardstick.load();
    }

    @Override
    public Device device(int rank) {
        return new CpuDevice(table, dnnl, threads, cores);
    }

    @Override
    public double peakGflops(DType dtype) {
        return yardstick.peakGflops(table.isa(), dtype == DType.BF16, threads);
    }

    @Override
    public double copyBandwidth(long target, long source, long bytes) {
        return yardstick.copyBandwidth(target, source, bytes, threads);
    }

    @Override
    public void close() {
        dnnl.close();
    }
}
