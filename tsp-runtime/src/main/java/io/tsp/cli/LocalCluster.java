package io.tsp.cli;

import io.tsp.comm.Communicator;
import io.tsp.comm.local.LocalCommunicator;
import io.tsp.comm.local.LocalHub;
import io.tsp.device.Device;
import io.tsp.device.cpu.Cores;
import io.tsp.device.cpu.CpuDevice;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** All ranks in this process. */
final class LocalCluster implements Cluster {
    private final List<Device> devices;
    private final List<LocalCommunicator> communicators = new ArrayList<>();
    private final Duration deadline;

    /** @param devices of each rank; closed with this */
    LocalCluster(List<Device> devices, Duration deadline) {
        this.devices = List.copyOf(devices);
        this.deadline = deadline;
        LocalHub hub = new LocalHub(deadline);
        devices.forEach(device -> communicators.add(new LocalCommunicator(hub, device::transfers)));
    }

    /** @param threads CPU threads over all ranks */
    static LocalCluster onCpu(CpuLibraries libraries, int ranks, int threads, Duration deadline) {
        Cores cores = new Cores(threads);
        int own = CpuLibraries.threadsPerRank(threads, ranks);
        List<Device> devices = new ArrayList<>();
        for (int rank = 0; rank < ranks; rank++) {
            devices.add(new CpuDevice(libraries.kernels(), libraries.dnnl(), own, cores));
        }
        return new LocalCluster(devices, deadline);
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
        return deadline;
    }

    @Override
    public void close() {
        communicators.forEach(Communicator::close);
        devices.forEach(Device::close);
    }
}
