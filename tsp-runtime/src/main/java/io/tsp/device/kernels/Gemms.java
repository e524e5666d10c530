package io.tsp.device.kernels;

import io.tsp.device.Kernel;
import io.tsp.op.ComputeOp.Gemm;

/** Matrix products, which are a vendor library's. */
@FunctionalInterface
public interface Gemms {
    Kernel prepare(Gemm op);
}
