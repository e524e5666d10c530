package io.tsp.cli;

import io.tsp.comm.mpi.MpiCommunicator;
import io.tsp.comm.mpi.MpiWorld;
import io.tsp.device.cpu.Cores;
import io.tsp.device.cpu.CpuDevice;
import io.tsp.evaluate.AvailableMemory;
import io.tsp.program.Cluster;
import java.time.Duration;

/** Processes with a rank on the CPU each. */
record MpiPeers(CpuHardware hardware, MpiWorld world) implements Peers {
    @Override
    public int size() {
        return world.size();
    }

    @Override
    public AvailableMemory memory(Hardware hardware) {
        return hardware.memory();
    }

    @Override
    public Cluster cluster(int threads, Duration deadline) {
        CpuLibraries libraries = hardware.libraries();
        int own = CpuLibraries.threadsPerRank(threads, world.size());
        return new LaunchedRank(
                world.rank(),
                world.size(),
                new CpuDevice(libraries.kernels(), libraries.dnnl(), own, new Cores(own)),
                new MpiCommunicator(world, libraries.orderedSum(), deadline),
                deadline);
    }

    /** The launcher ends the others when it sees how this process ended. */
    @Override
    public void fail(String sentence) {}

    @Override
    public void close(boolean failed) {
        if (!failed) {
            world.close();
        }
    }
}
