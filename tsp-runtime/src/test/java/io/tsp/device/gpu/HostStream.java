package io.tsp.device.gpu;

import io.tsp.device.Launch;
import io.tsp.device.Stream;
import java.time.Duration;

/** A stream of the host for whom only asks for its handle. */
public final class HostStream implements Stream {
    private static UnsupportedOperationException refuse() {
        return new UnsupportedOperationException("nobody should use this stream");
    }

    @Override
    public long handle() {
        return 0;
    }

    @Override
    public void enqueue(Launch launch) {
        throw refuse();
    }

    @Override
    public void enqueueHost(Runnable work) {
        throw refuse();
    }

    @Override
    public Event record() {
        throw refuse();
    }

    @Override
    public void await(Event event) {
        throw refuse();
    }

    @Override
    public void synchronize(Duration deadline) {
        throw refuse();
    }

    @Override
    public boolean stop(Duration deadline) {
        throw refuse();
    }
}
