package io.tsp.device.gpu;

import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.kernels.GemmOperands;
import io.tsp.device.kernels.GemmSpecs;
import io.tsp.device.kernels.Gemms;
import io.tsp.ffm.CublasLt;
import io.tsp.ffm.GpuMatmul;
import io.tsp.ffm.MatmulSpec;
import io.tsp.op.ComputeOp.Gemm;
import java.util.HashMap;
import java.util.Map;

/** cuBLASLt's matrix products, prepared once for each shape. */
final class GpuGemms implements Gemms, AutoCloseable {
    private final CublasLt library;
    private final Map<MatmulSpec, GpuMatmul> prepared = new HashMap<>();

    /** @param library closed with this */
    GpuGemms(CublasLt library) {
        this.library = library;
    }

    @Override
    public Kernel prepare(Gemm op) {
        GpuMatmul matmul = prepared.computeIfAbsent(GemmSpecs.of(op), library::matmul);
        return new Kernel() {
            @Override
            public long workspaceBytes() {
                return matmul.workspaceBytes();
            }

            @Override
            public Launch bind(Binding binding) {
                GemmOperands at = GemmOperands.of(op, binding);
                long stream = binding.stream().handle();
                return () -> matmul.execute(at.src(), at.weights(), at.bias(), at.dst(), binding.workspace(), stream);
            }
        };
    }

    @Override
    public void close() {
        prepared.values().forEach(GpuMatmul::close);
        prepared.clear();
        library.close();
    }
}
