package io.tsp.benchmark;

import java.util.function.DoubleSupplier;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * What turns seconds into a rate, and the limit of this machine that the rate is held against, measured before every
 * iteration on the thread of the benchmark. JMH carries both from the fork to {@link BenchmarkRunner}.
 */
@State(Scope.Thread)
@AuxCounters(AuxCounters.Type.EVENTS)
public class Rate {
    /** For what has no limit to be compared with. */
    static final DoubleSupplier NO_LIMIT = () -> 0;

    private DoubleSupplier measurement = NO_LIMIT;
    private double gigaPerCall;
    private double limit;

    /** 10^9 operations or bytes of one call. */
    public double gigaPerCall() {
        return gigaPerCall;
    }

    /** The most that the machine has shown in this process: GFLOP/s or GB/s. */
    public double limit() {
        return limit;
    }

    void perCall(double operationsOrBytes, DoubleSupplier limitMeasurement) {
        gigaPerCall = operationsOrBytes / 1e9;
        measurement = limitMeasurement;
    }

    @Setup(Level.Iteration)
    public void measureLimit() {
        limit = Math.max(limit, measurement.getAsDouble());
    }
}
