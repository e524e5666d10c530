package io.tsp.device.kernels;

import io.tsp.device.Kernel.Binding;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.tensor.Tensor;

/**
 * Where the operands of a matrix product lie, as a vendor's library wants them.
 *
 * @param bias 0 if there is none
 */
public record GemmOperands(long src, long weights, long bias, long dst) {
    public static GemmOperands of(Gemm op, Binding binding) {
        Tensor bias = op.bias();
        return new GemmOperands(
                binding.address().applyAsLong(op.a()),
                binding.address().applyAsLong(op.b()),
                bias == null ? 0 : binding.address().applyAsLong(bias),
                binding.address().applyAsLong(op.out()));
    }
}
