package io.tsp.device.gpu;

import io.tsp.ffm.GpuRuntime;
import java.util.ArrayDeque;
import java.util.Deque;

/** The vendor's events of one rank, used again and again: a program records thousands in each run. */
final class EventPool implements AutoCloseable {
    private final GpuRuntime runtime;
    private final int device;
    private final Deque<Long> free = new ArrayDeque<>();

    EventPool(GpuRuntime runtime, int device) {
        this.runtime = runtime;
        this.device = device;
    }

    synchronized long take() {
        Long event = free.poll();
        return event == null ? runtime.createEvent(device) : event;
    }

    synchronized void give(long event) {
        free.push(event);
    }

    @Override
    public synchronized void close() {
        free.forEach(event -> runtime.destroyEvent(device, event));
        free.clear();
    }
}
