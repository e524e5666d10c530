package io.tsp.cli;

import io.tsp.evaluate.AvailableMemory;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.program.Cluster;
import java.nio.file.Path;
import java.time.Duration;

/** The CPU of this machine. */
record CpuHardware(CpuLibraries libraries) implements Hardware {
    /** @throws NativeLibraryException if a library is missing or does not fit this build */
    static CpuHardware open() {
        try {
            return new CpuHardware(CpuLibraries.load());
        } catch (NativeException e) {
            throw new NativeLibraryException(e.getMessage() + "; correct or unset TSP_CPU_ISA", e);
        }
    }

    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public String description(int threads) {
        return "cpu " + libraries.kernels().isa() + ", " + threads + (threads == 1 ? " thread" : " threads");
    }

    @Override
    public Cluster cluster(int ranks, int threads, Duration deadline) {
        return LocalCluster.onCpu(libraries, ranks, threads, deadline);
    }

    @Override
    public AvailableMemory memory() {
        return AvailableMemory.ofHost(new Memory(Path.of("/")).usableBytes());
    }

    @Override
    public void close() {
        libraries.close();
    }
}
