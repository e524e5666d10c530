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

/** All ranks in this process, on its CPU. */
final class LocalCluster implements Cluster {
    private final List<CpuDevice> devices = new ArrayList<>();
    private final List<LocalCommunicator> communicators = new ArrayList<>();
    private final Duration deadline;

    /** @param threads CPU threads over all ranks */
    LocalCluster(CpuLibraries libraries, int ranks, int threads, Duration deadline) {
        this.deadline = deadline;
        Cores cores = new Cores(threads);
        LocalHub hub = new LocalHub(deadline);
        for (int rank = 0; rank < ranks; rank++) {
            CpuDevice device = new CpuDevice(
                    libraries.kernels(), libraries.dnnl(), CpuLibraries.threadsPerRank(threads, ranks), cores);
            devices.add(device);
            communicators.add(new LocalCommunicator(hub, device::transfers));
        }
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
