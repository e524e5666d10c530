package io.tsp.device.gpu;

import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.tensor.DType;

/** Copies and sums enqueued on a stream; between GPUs they go from one's memory to the other's without the host. */
final class GpuTransfers implements Transfers {
    private final GpuDevice device;
    private final GpuKernels kernels;
    private final GpuStream stream;

    GpuTransfers(GpuDevice device, GpuKernels kernels, GpuStream stream) {
        this.device = device;
        this.kernels = kernels;
        this.stream = stream;
    }

    @Override
    public void copy(long target, long source, long bytes) {
        if (bytes > 0) {
            device.issue(stream, () -> device.runtime().copy(device.ordinal(), target, source, bytes, stream.handle()));
        }
    }

    @Override
    public void sum(DType dtype, long[] sources, long target, long count) {
        if (count > 0) {
            device.issue(stream, () -> kernels.sum(stream.handle(), dtype, sources, target, count));
        }
    }

    @Override
    public void issue(Runnable work) {
        device.issue(stream, work);
    }

    @Override
    public Stream.Event mark() {
        return stream.mark();
    }

    @Override
    public void await(Stream.Event event) {
        stream.holdUp(event);
    }
}
