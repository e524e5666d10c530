package io.tsp.parity;

import io.tsp.device.OrderedSum;
import io.tsp.device.cpu.CpuOrderedSum;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.Openmp;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Kernels of one instruction set and oneDNN; as a static extension of a test class, closed behind its last test.
 *
 * @param gpus ranks share this many fake GPUs, which compute with the same kernels; 0 for ranks on the CPU
 */
public record Libraries(KernelTable kernels, Dnnl dnnl, OrderedSum orderedSum, int gpus)
        implements AutoCloseable, AfterAllCallback {

    /**
     * @param isa null for the best
     * @throws io.tsp.ffm.NativeException if the processor lacks it
     */
    public static Libraries load(@Nullable String isa) {
        NativeLibraries libraries = NativeLibraries.standard();
        Openmp openmp = Openmp.load(libraries);
        KernelTable kernels = KernelTable.open(libraries.load(NativeLibrary.KERNELS_CPU), isa);
        return new Libraries(kernels, Dnnl.load(libraries, openmp), new CpuOrderedSum(kernels), 0);
    }

    /** The same libraries for ranks on fake GPUs. */
    Libraries onGpus(int count) {
        return new Libraries(kernels, dnnl, orderedSum, count);
    }

    @Override
    public void close() {
        dnnl.close();
    }

    @Override
    public void afterAll(ExtensionContext context) {
        close();
    }
}
