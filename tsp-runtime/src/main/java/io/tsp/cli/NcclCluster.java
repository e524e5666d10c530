package io.tsp.cli;

import io.tsp.comm.Communicator;
import io.tsp.comm.nccl.NcclCommunicator;
import io.tsp.comm.nccl.NcclRank;
import io.tsp.device.Device;
import io.tsp.ffm.NcclLimits;
import io.tsp.launch.Rendezvous;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.List;

/** One rank on a GPU in this process, the others in processes that a launcher started. */
final class NcclCluster implements Cluster {
    private final Rendezvous rendezvous;
    private final Device device;
    private final NcclCommunicator communicator;
    private final Duration deadline;

    /** @param gpu of this process' rank */
    NcclCluster(CudaHardware hardware, Rendezvous rendezvous, int gpu, Duration deadline) {
        this.rendezvous = rendezvous;
        this.deadline = deadline;
        device = hardware.device(rendezvous.rank(), gpu);
        NcclRank rank = new NcclRank(
                rendezvous.rank(),
                rendezvous.size(),
                hardware.nccl(),
                NcclLimits.NONE,
                () -> hardware.choose(gpu),
                new RendezvousBootstrap(rendezvous),
                deadline);
        communicator = new NcclCommunicator(rank, device::transfers);
        rendezvous.onFailure(failure -> communicator.abort(RendezvousBootstrap.inItsWords(failure)));
    }

    @Override
    public int worldSize() {
        return rendezvous.size();
    }

    @Override
    public List<Integer> localRanks() {
        return List.of(rendezvous.rank());
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
