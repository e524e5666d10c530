package io.tsp.tensor;

/** The one place that reads the machine's clock. */
public final class SystemClock {
    private SystemClock() {}

    /** Nanoseconds from an arbitrary origin, monotonic in this process. */
    public static long nanos() {
        return System.nanoTime();
    }
}
