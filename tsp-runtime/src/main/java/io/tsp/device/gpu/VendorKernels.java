package io.tsp.device.gpu;

import io.tsp.device.Kernel;
import io.tsp.device.kernels.KernelLibrary;
import io.tsp.device.kernels.TableSum;
import io.tsp.ffm.CublasLt;
import io.tsp.ffm.KernelTable;
import io.tsp.op.ComputeOp;
import io.tsp.tensor.DType;
import java.lang.foreign.Arena;

/** Our kernels for GPUs, and the vendor's matrix products. */
public final class VendorKernels implements GpuKernels {
    private static final int THREADS = 1;

    private final Arena arena = Arena.ofShared();
    private final GpuGemms gemms;
    private final KernelLibrary library;
    private final TableSum sum;

    /**
     * @param table of kernels for the GPU
     * @param cublas of the GPU; closed with this
     */
    public VendorKernels(KernelTable table, CublasLt cublas) {
        gemms = new GpuGemms(cublas);
        library = new KernelLibrary(table, gemms, THREADS, arena);
        sum = new TableSum(table);
    }

    @Override
    public Kernel prepare(ComputeOp op) {
        return library.prepare(op);
    }

    @Override
    public void sum(long stream, DType dtype, long[] sources, long target, long count) {
        sum.sum(stream, dtype, sources, target, count);
    }

    @Override
    public void close() {
        gemms.close();
        arena.close();
    }
}
