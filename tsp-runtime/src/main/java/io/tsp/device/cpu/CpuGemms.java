package io.tsp.device.cpu;

import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.kernels.GemmOperands;
import io.tsp.device.kernels.GemmSpecs;
import io.tsp.device.kernels.Gemms;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.Matmul;
import io.tsp.ffm.MatmulSpec;
import io.tsp.op.ComputeOp.Gemm;
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
        Matmul matmul = prepared.computeIfAbsent(GemmSpecs.of(op), spec -> dnnl.matmul(spec, threads));
        return new Kernel() {
            @Override
            public long workspaceBytes() {
                return matmul.scratchpadBytes();
            }

            @Override
            public Launch bind(Binding binding) {
                GemmOperands at = GemmOperands.of(op, binding);
                return () -> matmul.execute(at.src(), at.weights(), at.bias(), at.dst(), binding.workspace());
            }
        };
    }

    @Override
    public void close() {
        prepared.values().forEach(Matmul::close);
        prepared.clear();
    }
}
