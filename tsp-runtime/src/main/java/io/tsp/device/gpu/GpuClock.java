package io.tsp.device.gpu;

import io.tsp.ffm.GpuRuntime;
import io.tsp.tensor.SystemClock;
import java.time.Duration;

/**
 * Turns a rank's events into nanoseconds of the host's clock. Vendors tell the time between two events as a float of
 * milliseconds, which is exact to a microsecond for some seconds only; so there is a base event whose time the host
 * knows, and it is renewed whenever no event is under way that has to be compared with it.
 */
final class GpuClock implements AutoCloseable {
    private static final double NANOS_PER_MILLI = 1e6;
    /** An idle device comes to an event within microseconds; a busy one keeps its old base. */
    private static final Duration PATIENCE = Duration.ofMillis(50);

    /** The host may be held up between two looks, but seldom several times in turn. */
    private static final int TRIES = 5;

    private static final long CERTAIN_NANOS = 50_000;

    private final GpuRuntime runtime;
    private final int device;
    private final long stream;
    private long base;
    private long spare;
    private long baseNanos;
    private int underWay;

    GpuClock(GpuRuntime runtime, int device) {
        this.runtime = runtime;
        this.device = device;
        stream = runtime.createStream(device, GpuRuntime.HIGH_PRIORITY);
        base = runtime.createEvent(device);
        spare = runtime.createEvent(device);
        runtime.record(device, base, stream);
        runtime.synchronize(device, stream);
        baseNanos = SystemClock.nanos();
        renew();
    }

    /** An event is about to be recorded. */
    synchronized void begin() {
        underWay++;
    }

    /** When an event that has happened did so. */
    synchronized long end(long event) {
        underWay--;
        return baseNanos + Math.round(runtime.elapsedMillis(device, base, event) * NANOS_PER_MILLI);
    }

    /** An event will not be asked for. */
    synchronized void forget() {
        underWay--;
    }

    /** Takes a new base if no event needs the old one: of some tries the one whose time the host knows best. */
    synchronized void renew() {
        if (underWay > 0) {
            return;
        }
        long uncertain = Long.MAX_VALUE;
        for (int i = 0; i < TRIES && uncertain > CERTAIN_NANOS; i++) {
            long begin = SystemClock.nanos();
            runtime.record(device, spare, stream);
            if (!reaches(spare, begin + PATIENCE.toNanos())) {
                return;
            }
            long lasted = SystemClock.nanos() - begin;
            if (lasted < uncertain) {
                uncertain = lasted;
                baseNanos = begin + lasted / 2;
                long old = base;
                base = spare;
                spare = old;
            }
        }
    }

    private boolean reaches(long event, long endNanos) {
        while (!runtime.isDone(device, event)) {
            if (SystemClock.nanos() > endNanos) {
                return false;
            }
            Thread.onSpinWait();
        }
        return true;
    }

    @Override
    public synchronized void close() {
        runtime.destroyEvent(device, base);
        runtime.destroyEvent(device, spare);
        runtime.destroyStream(device, stream);
    }
}
