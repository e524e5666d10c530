package io.tsp.device.gpu;

import java.util.concurrent.locks.LockSupport;

/** How a host thread waits for a device: awake for the first moments, then in short naps. */
final class Patience {
    private static final int SPINS = 2_000;
    private static final long NAP_NANOS = 20_000;

    private int tries;

    /** Something has happened: be awake again. */
    void refresh() {
        tries = 0;
    }

    void pause() {
        if (tries++ < SPINS) {
            Thread.onSpinWait();
        } else {
            LockSupport.parkNanos(NAP_NANOS);
        }
    }
}
