package io.tsp.device.cpu;

import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.kernels.Gemms;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.Matmul;
import io.tsp.ffm.MatmulSpec;
import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.Gemm.Form;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.HashMap;
import java.util.Map;

/** oneDNN's matrix products, prepared once for each shape. */
final class CpuGemms implements Gemms, AutoCloseable {
    private final Dnnl dnnl;
    private final int threads;
    private final Map<MatmulSpec, Matmul> prepared = new HashMap<>();

    CpuGemms(Dnnl dnnl, int threads) {
        this.dnnl = dnnl;
        this.threads = threads;
    }

    @Override
    public Kernel prepare(Gemm op) {
        Matmul matmul = prepared.computeIfAbsent(spec(op), spec -> dnnl.matmul(spec, threads));
        return new Kernel() {
            @Override
            public long workspaceBytes() {
                return matmul.scratchpadBytes();
            }

            @Override
            public Launch bind(Binding binding) {
                Tensor biasTensor = op.bias();
                long src = binding.address().applyAsLong(op.a());
                long weights = binding.address().applyAsLong(op.b());
                long bias = biasTensor == null ? 0 : binding.address().applyAsLong(biasTensor);
                long dst = binding.address().applyAsLong(op.out());
                return () -> matmul.execute(src, weights, bias, dst, binding.workspace());
            }
        };
    }

    private static MatmulSpec spec(Gemm op) {
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

    @Override
    public void close() {
        prepared.values().forEach(Matmul::close);
        prepared.clear();
    }
}
