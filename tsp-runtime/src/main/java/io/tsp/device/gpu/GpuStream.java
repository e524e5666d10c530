package io.tsp.device.gpu;

import io.tsp.device.DeadlineException;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/** A vendor's stream, fed by its rank's issuing thread. The device's failure becomes the rank's. */
final class GpuStream implements Stream {
    private final GpuDevice device;
    private final Issuer issuer;
    private final String name;
    private final long handle;
    /** Recorded and not reached, in the order of the stream. */
    private final Deque<GpuEvent> underWay = new ArrayDeque<>();

    private long reached;
    private volatile boolean stopping;

    GpuStream(GpuDevice device, Issuer issuer, String name, long handle) {
        this.device = device;
        this.issuer = issuer;
        this.name = name;
        this.handle = handle;
    }

    @Override
    public long handle() {
        return handle;
    }

    @Override
    public void enqueue(Launch launch) {
        issuer.attempt(() -> unlessStopping(launch::run));
    }

    @Override
    public void enqueueHost(Runnable work) {
        issuer.attempt(() -> unlessStopping(() -> {
            finish();
            work.run();
        }));
    }

    private void unlessStopping(Runnable work) {
        if (!stopping) {
            work.run();
        }
    }

    @Override
    public Event record() {
        GpuEvent event = new GpuEvent(name);
        issuer.always(() -> record(event));
        return event;
    }

    private void record(GpuEvent event) {
        RuntimeException failure =
                stopping ? new IllegalStateException("stream " + name + " was stopped") : issuer.failure();
        if (failure == null) {
            try {
                mark(event);
            } catch (RuntimeException e) {
                failure = issuer.fail(e);
            }
        }
        if (failure != null) {
            event.fail(failure);
        }
    }

    @Override
    public void await(Event event) {
        issuer.attempt(() -> unlessStopping(() -> holdUp(event)));
    }

    /** Records an event now; only for the issuing thread. */
    GpuEvent mark() {
        GpuEvent event = new GpuEvent(name);
        mark(event);
        return event;
    }

    private void mark(GpuEvent event) {
        synchronized (underWay) {
            event.recorded(device.record(handle));
            underWay.add(event);
        }
    }

    /** Waits for an event from now on; only for the issuing thread. */
    void holdUp(Event event) {
        ((GpuEvent) event).holdUp(recorded -> device.await(handle, recorded));
    }

    /** Blocks the issuing thread, which alone may call this, until the device has done what it was given. */
    void finish() {
        GpuEvent end = mark();
        Patience patience = new Patience();
        while (!isSettled(end)) {
            if (stopping) {
                throw new IllegalStateException("stream " + name + " was stopped");
            }
            patience.pause();
        }
        end.throwIfFailed();
    }

    @Override
    public void synchronize(Duration deadline) {
        GpuEvent end = (GpuEvent) record();
        Patience patience = new Patience();
        long progress = -1;
        long since = SystemClock.nanos();
        while (!isSettled(end)) {
            if (Thread.currentThread().isInterrupted()) {
                throw new IllegalStateException("interrupted while waiting for stream " + name);
            }
            long now = SystemClock.nanos();
            if (progress() != progress) {
                progress = progress();
                since = now;
                patience.refresh();
            } else if (now - since > deadline.toNanos()) {
                throw new DeadlineException("stream " + name + " finished no work for " + deadline.toMillis() / 1000.0
                        + " s; raise --deadline if one operation may last that long");
            }
            patience.pause();
        }
        end.throwIfFailed();
        device.renewClock();
    }

    private long progress() {
        synchronized (underWay) {
            return issuer.finished() + reached;
        }
    }

    /** Looks how far the device is. */
    private boolean isSettled(GpuEvent event) {
        synchronized (underWay) {
            try {
                for (GpuEvent next; (next = nextReached()) != null; reached++) {
                    long timed = next.handle();
                    next.reached(device.nanos(timed));
                    underWay.remove();
                    device.reuse(timed);
                }
            } catch (RuntimeException e) {
                RuntimeException first = issuer.fail(e);
                underWay.forEach(each -> {
                    each.fail(first);
                    device.forget();
                });
                underWay.clear();
            }
            return event.isSettled();
        }
    }

    private @Nullable GpuEvent nextReached() {
        GpuEvent next = underWay.peek();
        return next != null && device.isReached(next.handle()) ? next : null;
    }

    @Override
    public boolean stop(Duration deadline) {
        stopping = true;
        long end = SystemClock.nanos() + deadline.toNanos();
        try {
            return issuer.drain(deadline) && drain(end) && device.closeStream(handle);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Waits for what the device was given; what is on a device that has failed runs no more. */
    private boolean drain(long endNanos) {
        if (device.isBroken()) {
            return true;
        }
        try {
            GpuEvent last = mark();
            Patience patience = new Patience();
            while (!isSettled(last)) {
                if (SystemClock.nanos() > endNanos) {
                    return false;
                }
                patience.pause();
            }
        } catch (RuntimeException e) {
            issuer.fail(e);
        }
        return true;
    }
}
