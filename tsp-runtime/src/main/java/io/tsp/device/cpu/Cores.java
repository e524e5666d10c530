package io.tsp.device.cpu;

import java.util.concurrent.Semaphore;

/** The threads that all ranks of this process may compute with at a time; first come, first served. */
public final class Cores {
    private final int count;
    private final Semaphore free;

    public Cores(int count) {
        this.count = count;
        this.free = new Semaphore(count, true);
    }

    public int count() {
        return count;
    }

    void use(int threads, Runnable work) {
        free.acquireUninterruptibly(threads);
        try {
            work.run();
        } finally {
            free.release(threads);
        }
    }
}
