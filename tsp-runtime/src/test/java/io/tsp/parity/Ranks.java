package io.tsp.parity;

import io.tsp.comm.Communicator;
import io.tsp.comm.local.LocalCommunicator;
import io.tsp.comm.local.LocalHub;
import io.tsp.device.Device;
import io.tsp.device.cpu.Cores;
import io.tsp.device.cpu.CpuDevice;
import io.tsp.device.gpu.FakeGpuRuntime;
import io.tsp.device.gpu.GpuDevice;
import io.tsp.device.gpu.HostKernels;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Ranks that are threads of this JVM and share two cores, or fake GPUs that do. */
public final class Ranks implements Cluster {
    private static final int CORES = 2;

    private final FakeGpuRuntime gpus = new FakeGpuRuntime(8);
    private final List<Device> devices = new ArrayList<>();
    private final List<Communicator> communicators = new ArrayList<>();

    public Ranks(Libraries libraries, int count) {
        Cores cores = new Cores(CORES);
        LocalHub hub = new LocalHub(deadline());
        for (int rank = 0; rank < count; rank++) {
            int threads = count == 1 ? CORES : 1;
            Device cpu = new CpuDevice(libraries.kernels(), libraries.dnnl(), threads, cores);
            Device device = libraries.gpus() == 0 ? cpu : gpu(libraries, rank, cpu);
            devices.add(device);
            communicators.add(new LocalCommunicator(hub, device::transfers));
        }
    }

    private Device gpu(Libraries libraries, int rank, Device cpu) {
        return new GpuDevice(
                gpus,
                new GpuDevice.Rank(rank, rank % libraries.gpus(), "fake", false),
                new HostKernels(gpus, cpu, libraries.orderedSum()));
    }

    /** What of the fake GPUs has not been given back. */
    String leaks() {
        return gpus.leaks();
    }

    @Override
    public int worldSize() {
        return devices.size();
    }

    @Override
    public List<Integer> localRanks() {
        return IntStream.range(0, worldSize()).boxed().toList();
    }

    @Override
    public Device device(int rank) {
        return devices.get(rank);
    }

    @Override
    public Communicator communicator(int rank) {
        return communicators.get(rank);
    }

    @Override
    public Duration deadline() {
        return Duration.ofSeconds(30);
    }

    @Override
    public void close() {
        communicators.forEach(Communicator::close);
        devices.forEach(Device::close);
    }
}
