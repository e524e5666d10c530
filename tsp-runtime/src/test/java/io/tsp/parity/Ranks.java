package io.tsp.parity;

import io.tsp.comm.Communicator;
import io.tsp.comm.local.LocalCommunicator;
import io.tsp.comm.local.LocalHub;
import io.tsp.device.Device;
import io.tsp.program.Cluster;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Ranks that are threads of this JVM. */
public final class Ranks implements Cluster {
    private final Devices source;
    private final Duration deadline;
    private final List<Device> devices = new ArrayList<>();
    private final List<Communicator> communicators = new ArrayList<>();

    public Ranks(Libraries libraries, int count) {
        source = libraries.devices(count);
        deadline = libraries.deadline();
        LocalHub hub = new LocalHub(deadline);
        for (int rank = 0; rank < count; rank++) {
            Device device = source.open(rank);
            devices.add(device);
            communicators.add(new LocalCommunicator(hub, device::transfers));
        }
    }

    /** What of the devices has not been given back. */
    String leaks() {
        return source.leaks();
    }

    @Override
    public int worldSize() {
        return devices.size();
    }

    @Override
    public List<Integer> localRanks() {
        return IntStream.range(0, worldSize()).boxed().toList();
    }

    @Override
    public Device device(int rank) {
        return devices.get(rank);
    }

    @Override
    public Communicator communicator(int rank) {
        return communicators.get(rank);
    }

    @Override
    public Duration deadline() {
        return deadline;
    }

    @Override
    public void close() {
        communicators.forEach(Communicator::close);
        devices.forEach(Device::close);
    }
}
