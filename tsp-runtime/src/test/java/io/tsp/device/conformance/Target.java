package io.tsp.device.conformance;

import io.tsp.device.Device;
import io.tsp.device.OrderedSum;
import java.util.List;

/**
 * A set of kernels to be judged.
 *
 * @param name what a report calls it, such as {@code avx2}
 * @param devices the same kernels with several numbers of threads; all must give the same bits
 */
public record Target(String name, List<Device> devices, OrderedSum orderedSum) implements AutoCloseable {
    public Target {
        devices = List.copyOf(devices);
    }

    @Override
    public void close() {
        devices.forEach(Device::close);
    }
}
