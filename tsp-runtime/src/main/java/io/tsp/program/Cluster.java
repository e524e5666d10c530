package io.tsp.program;

import io.tsp.comm.Communicator;
import io.tsp.device.Device;
import java.time.Duration;
import java.util.List;

/** The ranks that a session runs on, and how this process reaches them. Made by the command line, which alone knows kinds. */
public interface Cluster extends AutoCloseable {
    int worldSize();

    /** World ranks that live in this process, ascending. */
    List<Integer> localRanks();

    /** The device of a local rank. */
    Device device(int rank);

    /** The communicator of a local rank. */
    Communicator communicator(int rank);

    /** How long any wait may last. */
    Duration deadline();

    @Override
    void close();
}
