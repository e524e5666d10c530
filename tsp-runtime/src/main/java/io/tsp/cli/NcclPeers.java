package io.tsp.cli;

import io.tsp.comm.nccl.NcclCommunicator;
import io.tsp.comm.nccl.NcclRank;
import io.tsp.device.Device;
import io.tsp.evaluate.AvailableMemory;
import io.tsp.ffm.NcclLimits;
import io.tsp.launch.Launcher;
import io.tsp.launch.Pace;
import io.tsp.launch.Place;
import io.tsp.launch.Rendezvous;
import io.tsp.program.Cluster;
import java.time.Duration;

/** Processes with a rank on a GPU each. */
record NcclPeers(CudaHardware hardware, Rendezvous rendezvous, int gpu) implements Peers {
    /** @throws io.tsp.launch.LaunchException if the others do not come */
    static NcclPeers join(CudaHardware hardware, Launcher launcher, Place place, Duration deadline) {
        int gpu = launcher.device(hardware.gpus());
        Rendezvous rendezvous = Rendezvous.join(place, launcher.rank(), launcher.size(), Pace.of(deadline));
        return new NcclPeers(hardware, rendezvous, gpu);
    }

    @Override
    public int size() {
        return rendezvous.size();
    }

    @Override
    public AvailableMemory memory(Hardware unused) {
        return hardware.memory(gpu);
    }

    @Override
    public Cluster cluster(int threads, Duration deadline) {
        Device device = hardware.device(rendezvous.rank(), gpu);
        NcclRank rank = new NcclRank(
                rendezvous.rank(),
                rendezvous.size(),
                hardware.nccl(),
                NcclLimits.NONE,
                () -> hardware.choose(gpu),
                new RendezvousBootstrap(rendezvous),
                deadline);
        NcclCommunicator communicator = new NcclCommunicator(rank, device::transfers);
        rendezvous.onFailure(failure -> communicator.abort(RendezvousBootstrap.inItsWords(failure)));
        return new LaunchedRank(rendezvous.rank(), rendezvous.size(), device, communicator, deadline);
    }

    @Override
    public void fail(String sentence) {
        rendezvous.fail(sentence);
    }

    @Override
    public void close(boolean failed) {
        rendezvous.close();
    }
}
