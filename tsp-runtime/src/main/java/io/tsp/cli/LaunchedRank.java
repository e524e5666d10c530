package io.tsp.cli;

import io.tsp.comm.Communicator;
import io.tsp.device.Device;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.List;

/**
 * One rank in this process, the others in processes that a launcher started.
 *
 * @param rank of this process
 * @param device closed with this
 * @param communicator closed with this
 */
record LaunchedRank(int rank, int worldSize, Device device, Communicator communicator, Duration deadline)
        implements Cluster {
    @Override
    public List<Integer> localRanks() {
        return List.of(rank);
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
    public void close() {
        communicator.close();
        device.close();
    }
}
