package io.tsp.cli;

import io.tsp.comm.Communicator;
import io.tsp.comm.mpi.MpiCommunicator;
import io.tsp.comm.mpi.MpiWorld;
import io.tsp.device.Device;
import io.tsp.device.cpu.Cores;
import io.tsp.device.cpu.CpuDevice;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.List;

/** One rank in this process, the others in processes that a launcher started. */
final class MpiCluster implements Cluster {
    private final MpiWorld world;
    private final CpuDevice device;
    private final MpiCommunicator communicator;
    private final Duration deadline;

    /** @param threads CPU threads over all ranks */
    MpiCluster(CpuLibraries libraries, MpiWorld world, int threads, Duration deadline) {
        this.world = world;
        this.deadline = deadline;
        int own = CpuLibraries.threadsPerRank(threads, world.size());
        device = new CpuDevice(libraries.kernels(), libraries.dnnl(), own, new Cores(own));
        communicator = new MpiCommunicator(world, libraries.orderedSum(), deadline);
    }

    @Override
    public int worldSize() {
        return world.size();
    }

    @Override
    public List<Integer> localRanks() {
        return List.of(world.rank());
    }

    @Override
    public Device device(int rank) {
        return device;
    }

    @Override
    public Communicator communicator(int rank) {
        return communicator;
    }

    @Override
    public Duration deadline() {
        return deadline;
    }

    @Override
    public void close() {
        communicator.close();
        device.close();
    }
}
