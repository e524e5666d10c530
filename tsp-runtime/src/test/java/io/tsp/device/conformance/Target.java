package io.tsp.device.conformance;

import io.tsp.device.Device;
import io.tsp.device.OrderedSum;
import java.util.List;

/** A set of kernels to be judged. */
public final class Target implements AutoCloseable {
    private final String name;
    private final List<Bench> benches;
    private final OrderedSum orderedSum;

    /**
     * @param name what a report calls it, such as {@code avx2}
     * @param devices the same kernels with several numbers of threads, which must all give the same bits; closed with this
     */
    public Target(String name, List<Device> devices, OrderedSum orderedSum) {
        this.name = name;
        this.benches = devices.stream().map(Bench::new).toList();
        this.orderedSum = orderedSum;
    }

    String name() {
        return name;
    }

    List<Bench> benches() {
        return benches;
    }

    OrderedSum orderedSum() {
        return orderedSum;
    }

    @Override
    public void close() {
        benches.forEach(Bench::close);
    }
}
