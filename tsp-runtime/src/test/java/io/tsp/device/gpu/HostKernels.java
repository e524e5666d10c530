package io.tsp.device.gpu;

import io.tsp.device.Device;
import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.OrderedSum;
import io.tsp.op.ComputeOp;
import io.tsp.tensor.DType;
import org.jspecify.annotations.Nullable;

/** What computes on a fake GPU: the kernels of a device of the host, or none, and a sum of the host. */
public final class HostKernels implements GpuKernels {
    private final FakeGpuRuntime runtime;
    private final @Nullable Device host;
    private final OrderedSum sum;

    /** @param host closed with this; null if there is nothing to compute */
    public HostKernels(FakeGpuRuntime runtime, @Nullable Device host, OrderedSum sum) {
        this.runtime = runtime;
        this.host = host;
        this.sum = sum;
    }

    @Override
    public Kernel prepare(ComputeOp op) {
        if (host == null) {
            throw new UnsupportedOperationException(op.name());
        }
        Kernel kernel = host.prepare(op);
        return new Kernel() {
            @Override
            public long workspaceBytes() {
                return kernel.workspaceBytes();
            }

            @Override
            public Launch bind(Binding binding) {
                long stream = binding.stream().handle();
                Launch launch = kernel.bind(new Binding(binding.address(), binding.workspace(), new HostStream()));
                return () -> runtime.launch(stream, launch::run);
            }
        };
    }

    @Override
    public void sum(long stream, DType dtype, long[] sources, long target, long count) {
        runtime.launch(stream, () -> sum.sum(dtype, sources, target, count));
    }

    @Override
    public void close() {
        if (host != null) {
            host.close();
        }
    }
}
