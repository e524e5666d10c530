package io.tsp.device.cpu;

import io.tsp.device.OrderedSum;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.ffm.Memory;
import io.tsp.tensor.DType;
import io.tsp.tensor.SystemClock;

/** On the calling thread: when a call returns, its bytes are there, so a marker has been reached when it is made. */
public final class CpuTransfers implements Transfers {
    private final OrderedSum sum;

    public CpuTransfers(OrderedSum sum) {
        this.sum = sum;
    }

    @Override
    public void copy(long target, long source, long bytes) {
        Memory.copy(target, source, bytes);
    }

    @Override
    public void sum(DType dtype, long[] sources, long target, long count) {
        sum.sum(dtype, sources, target, count);
    }

    @Override
    public void issue(Runnable work) {
        work.run();
    }

    @Override
    public Stream.Event mark() {
        long now = SystemClock.nanos();
        return () -> now;
    }

    @Override
    public void await(Stream.Event event) {}
}
