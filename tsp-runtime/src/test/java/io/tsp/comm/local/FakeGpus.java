package io.tsp.comm.local;

import io.tsp.device.OrderedSum;
import io.tsp.device.Stream;
import io.tsp.device.gpu.FakeGpuRuntime;
import io.tsp.device.gpu.GpuDevice;
import io.tsp.device.gpu.HostKernels;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A GPU device for each rank, and a stream for each of its lanes. */
final class FakeGpus {
    private static final int GPUS = 2;

    private final FakeGpuRuntime runtime = new FakeGpuRuntime(GPUS);
    private final List<GpuDevice> devices = new ArrayList<>();
    private final Map<List<Integer>, Stream> streams = new LinkedHashMap<>();

    FakeGpus(int ranks, OrderedSum sum) {
        for (int rank = 0; rank < ranks; rank++) {
            devices.add(new GpuDevice(
                    runtime,
                    new GpuDevice.Rank(rank, rank % GPUS, "fake", false),
                    new HostKernels(runtime, null, sum)));
        }
    }

    GpuDevice device(int rank) {
        return devices.get(rank);
    }

    synchronized Stream stream(int rank, int channel) {
        return streams.computeIfAbsent(
                List.of(rank, channel), key -> device(rank).openStream("rank-" + rank + "-" + channel));
    }

    /** Does something on a stream when the GPU gets there, as a kernel would. */
    void launch(int rank, Stream stream, Runnable kernel) {
        stream.enqueue(() -> {
            runtime.setDevice(rank % GPUS);
            runtime.launch(stream.handle(), kernel);
        });
    }

    /** Whether everything has stopped. */
    synchronized boolean close(Duration deadline) {
        boolean stopped = true;
        for (Stream stream : streams.values()) {
            stopped &= stream.stop(deadline);
        }
        devices.forEach(GpuDevice::close);
        return stopped;
    }
}
