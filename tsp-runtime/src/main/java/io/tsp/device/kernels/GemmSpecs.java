package io.tsp.device.kernels;

import io.tsp.ffm.MatmulSpec;
import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.Gemm.Form;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;

/** What a matrix product asks of a vendor's library; the same for every vendor. */
public final class GemmSpecs {
    private GemmSpecs() {}

    /** @throws IllegalArgumentException if an operand is neither f32 nor bf16 */
    public static MatmulSpec of(Gemm op) {
        Tensor bias = op.bias();
        return new MatmulSpec(
                op.out().dim(0),
                op.out().dim(1),
                op.depth(),
                matrix(op.a(), op.form() == Form.TN),
                matrix(op.b(), op.form() == Form.NT),
                bias == null ? Bias.NONE : bias.dtype() == DType.F32 ? Bias.F32 : Bias.BF16,
                matrix(op.out(), false),
                op.accumulate());
    }

    private static Matrix matrix(Tensor tensor, boolean transposed) {
        return new Matrix(dtype(tensor), leadingStride(tensor), transposed);
    }

    private static long leadingStride(Tensor tensor) {
        return Math.max(tensor.strides().dim(0), Math.max(1, tensor.dim(1)));
    }

    private static Dtype dtype(Tensor tensor) {
        return switch (tensor.dtype()) {
            case F32 -> Dtype.F32;
            case BF16 -> Dtype.BF16;
            case I32, F64 -> throw new IllegalArgumentException("matrix products take f32 and bf16, not " + tensor);
        };
    }
}
