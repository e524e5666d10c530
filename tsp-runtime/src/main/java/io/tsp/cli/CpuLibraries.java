package io.tsp.cli;

import io.tsp.device.OrderedSum;
import io.tsp.device.cpu.CpuOrderedSum;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.Openmp;

/** The native libraries that CPU ranks need, loaded once. */
record CpuLibraries(KernelTable kernels, Dnnl dnnl, OrderedSum orderedSum) implements AutoCloseable {

    /** @throws io.tsp.ffm.NativeLibraryException if one is missing or does not fit this build */
    static CpuLibraries load() {
        NativeLibraries libraries = NativeLibraries.standard();
        Openmp openmp = Openmp.load(libraries);
        KernelTable kernels = KernelTable.open(libraries.load(NativeLibrary.KERNELS_CPU), null);
        return new CpuLibraries(kernels, Dnnl.load(libraries, openmp), new CpuOrderedSum(kernels));
    }

    /** The threads of each rank when ranks share some. */
    static int threadsPerRank(int threads, int ranks) {
        return Math.max(1, threads / ranks);
    }

    @Override
    public void close() {
        dnnl.close();
    }
}
