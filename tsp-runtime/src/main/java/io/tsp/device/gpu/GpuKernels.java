package io.tsp.device.gpu;

import io.tsp.device.Kernel;
import io.tsp.op.ComputeOp;
import io.tsp.tensor.DType;

/**
 * What computes on one GPU. Calls enqueue on a stream and return at once; the thread that makes them has chosen the GPU
 * before.
 */
public interface GpuKernels extends AutoCloseable {
    Kernel prepare(ComputeOp op);

    /** Enqueues target = ((s0 + s1) + s2) + ..., fp32, rounded once; target may be one of the sources. */
    void sum(long stream, DType dtype, long[] sources, long target, long count);

    @Override
    void close();
}
