package io.tsp.cli;

import io.tsp.evaluate.AvailableMemory;
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
        return new NcclCluster(hardware, rendezvous, gpu, deadline);
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
