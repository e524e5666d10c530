package io.tsp.cli;

import io.tsp.comm.mpi.MpiWorld;
import io.tsp.evaluate.AvailableMemory;
import io.tsp.ffm.MpiTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.launch.Launcher;
import io.tsp.launch.Place;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.Map;
import java.util.OptionalInt;

/** Where ranks come from: this process makes them all, or a launcher has started a process for each. */
final class Clusters implements AutoCloseable {
    private final Hardware hardware;
    private final Peers peers;
    private boolean failed;

    private Clusters(Hardware hardware, Peers peers) {
        this.hardware = hardware;
        this.peers = peers;
    }

    /** Ranks that a launcher has started; empty without a launcher, or if it has started only this process. */
    static OptionalInt launchedRanks(Map<String, String> environment) {
        return Launcher.of(environment).stream().mapToInt(Launcher::size).findFirst();
    }

    /** Whether this process prints and writes files: of those of a launcher only the first does. */
    static boolean speaks(Map<String, String> environment) {
        return launchedRank(environment).orElse(0) == 0;
    }

    /** This process' number among those of a launcher; empty without one. */
    static OptionalInt launchedRank(Map<String, String> environment) {
        return Launcher.of(environment).stream().mapToInt(Launcher::rank).findFirst();
    }

    /**
     * Loads the native libraries and, under a launcher, joins the other processes.
     *
     * @throws NativeLibraryException if a library is missing or does not fit this build
     * @throws io.tsp.launch.LaunchException if the other processes do not come
     */
    static Clusters open(Map<String, String> environment, RankOptions ranks) {
        Launcher launcher = Launcher.of(environment).orElse(null);
        if (launcher == null) {
            return new Clusters(ranks.openHardware(environment), Peers.NONE);
        }
        if (!ranks.isOnCpu()) {
            Place place = Place.of(environment);
            CudaHardware hardware = ranks.openCuda(environment);
            return new Clusters(hardware, NcclPeers.join(hardware, launcher, place, ranks.deadline()));
        }
        if (!launcher.kind().startsMpi()) {
            throw new UsageException(launcher.kind().title()
                    + " starts ranks on GPUs; for ranks on CPUs start one process, or several with mpirun or srun");
        }
        CpuHardware hardware = CpuHardware.open();
        MpiTable table = MpiTable.open(NativeLibraries.standard().load(NativeLibrary.MPI));
        return new Clusters(hardware, new MpiPeers(hardware, new MpiWorld(table)));
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
        return peers.memory(hardware);
    }

    /**
     * Makes ranks.
     *
     * @param threads CPU threads over all ranks
     * @param deadline the longest wait
     */
    Cluster cluster(int ranks, int threads, Duration deadline) {
        if (peers.size() == 1) {
            return hardware.cluster(ranks, threads, deadline);
        }
        if (peers.size() != ranks) {
            throw new UsageException("these options make " + ranks + " ranks, but the launcher has started "
                    + peers.size() + "; start as many processes as --degree times --dp");
        }
        return peers.cluster(threads, deadline);
    }

    /**
     * Says that this rank cannot go on. It then leaves without its peers, who may wait for it in an exchange; the
     * launcher ends them when it sees how this process ended.
     */
    void abandon(RuntimeException cause) {
        failed = true;
        peers.fail(String.valueOf(cause.getMessage()));
    }

    @Override
    public void close() {
        peers.close(failed);
        hardware.close();
    }
}
