package io.tsp.cli;

import io.tsp.comm.mpi.MpiWorld;
import io.tsp.evaluate.AvailableMemory;
import io.tsp.ffm.MpiTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** Where ranks come from: this process makes them all, or a launcher has started a process for each. */
final class Clusters implements AutoCloseable {
    /** Of Open MPI's mpirun; of MPICH's and its relatives'; of srun. A launcher inside another speaks first. */
    private static final List<String> SIZES = List.of("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS");

    private static final List<String> RANKS = List.of("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID");

    private final Hardware hardware;
    private final @Nullable MpiWorld world;
    private boolean failed;

    private Clusters(Hardware hardware, @Nullable MpiWorld world) {
        this.hardware = hardware;
        this.world = world;
    }

    /** Ranks that a launcher has started; empty without a launcher, or if it has started only this process. */
    static OptionalInt launchedRanks(Map<String, String> environment) {
        OptionalInt size = number(SIZES, environment);
        return size.orElse(1) > 1 ? size : OptionalInt.empty();
    }

    /** Whether this process prints and writes files: of those of a launcher only the first does. */
    static boolean speaks(Map<String, String> environment) {
        return launchedRank(environment).orElse(0) == 0;
    }

    /** This process' number among those of a launcher; empty without one. */
    static OptionalInt launchedRank(Map<String, String> environment) {
        return launchedRanks(environment).isEmpty() ? OptionalInt.empty() : number(RANKS, environment);
    }

    private static OptionalInt number(List<String> names, Map<String, String> environment) {
        return names.stream()
                .map(name -> environment.getOrDefault(name, ""))
                .filter(value -> value.matches("\\d{1,9}"))
                .mapToInt(Integer::parseInt)
                .findFirst();
    }

    /**
     * Loads the native libraries and, under a launcher, joins the other processes.
     *
     * @throws NativeLibraryException if a library is missing or does not fit this build
     */
    static Clusters open(Map<String, String> environment, RankOptions ranks) {
        if (launchedRanks(environment).isEmpty()) {
            return new Clusters(ranks.openHardware(environment), null);
        }
        if (!ranks.isOnCpu()) {
            throw new UsageException(
                    "ranks on GPUs all live in one process; start it without a launcher, or use --device cpu");
        }
        CpuHardware hardware = CpuHardware.open();
        MpiTable table = MpiTable.open(NativeLibraries.standard().load(NativeLibrary.MPI));
        return new Clusters(hardware, new MpiWorld(table));
    }

    /** What a report calls what ranks compute on. */
    String device() {
        return hardware.name();
    }

    /** What a sentence calls it. */
    String description(int threads) {
        return hardware.description(threads);
    }

    /** Memory that is free for ranks of this process. */
    AvailableMemory memory() {
        return hardware.memory();
    }

    /**
     * Makes ranks.
     *
     * @param threads CPU threads over all ranks
     * @param deadline the longest wait
     */
    Cluster cluster(int ranks, int threads, Duration deadline) {
        if (world == null) {
            return hardware.cluster(ranks, threads, deadline);
        }
        if (world.size() != ranks) {
            throw new UsageException("these options make " + ranks + " ranks, but the launcher has started "
                    + world.size() + "; start as many processes as --degree times --dp");
        }
        if (!(hardware instanceof CpuHardware cpu)) {
            throw new IllegalStateException("ranks of a launcher on " + hardware.name());
        }
        return new MpiCluster(cpu.libraries(), world, threads, deadline);
    }

    /**
     * Says that this rank cannot go on. It then leaves without its peers, who may wait for it in an exchange; the
     * launcher ends them when it sees how this process ended.
     */
    void abandon() {
        failed = true;
    }

    @Override
    public void close() {
        if (world != null && !failed) {
            world.close();
        }
        hardware.close();
    }
}
