package io.tsp.evaluate;

import io.tsp.program.Cluster;
import io.tsp.program.MemoryPlan;
import io.tsp.program.Program;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.tensor.SystemClock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToLongFunction;

/** A scheme that is loaded without logits, to be run several times. */
final class TimedScheme implements AutoCloseable {
    private static final double NANOS_PER_SECOND = 1e9;

    private final Cluster cluster;
    private final Workload.Loaded step;
    private final List<Program> programs;
    private final List<Run> runs = new ArrayList<>();

    private record Run(long nanos, List<Trace> traces) {}

    /** Takes ownership of the cluster. */
    TimedScheme(Cluster cluster, Workload.Loaded step, List<Program> programs) {
        this.cluster = cluster;
        this.step = step;
        this.programs = programs;
    }

    /** The first run makes code hot and touches memory; returns its numbers. */
    List<Double> warmUp() {
        return step.run().numbers();
    }

    void run() {
        long begin = SystemClock.nanos();
        List<Trace> traces = step.run().traces();
        runs.add(new Run(SystemClock.nanos() - begin, traces));
    }

    SchemeResult.Measured measured(long tokens) {
        Run median = runs.stream()
                .sorted(Comparator.comparingLong(Run::nanos))
                .toList()
                .get((runs.size() - 1) / 2);
        Session session = step.session();
        MemoryPlan largest = session.localRanks().stream()
                .map(session::plan)
                .max(Comparator.comparingLong(MemoryPlan::peakBytes))
                .orElseThrow();
        double seconds = median.nanos / NANOS_PER_SECOND;
        return new SchemeResult.Measured(
                tokens / seconds,
                seconds,
                largest.peakBytes(),
                session.localRanks().stream()
                        .mapToLong(rank -> touchedBytes(session, rank))
                        .max()
                        .orElseThrow(),
                largest.arenaBytes(),
                programs.stream().mapToLong(Program::bytesSent).max().orElseThrow(),
                longest(median.traces, Trace::skewNanos),
                longest(median.traces, Trace::exposedTransferNanos),
                median.traces);
    }

    private static long touchedBytes(Session session, int rank) {
        return session.touchedBytes(rank).values().stream()
                .mapToLong(Long::longValue)
                .sum();
    }

    static double longest(List<Trace> traces, ToLongFunction<Trace> nanos) {
        return traces.stream().mapToLong(nanos).max().orElseThrow() / NANOS_PER_SECOND;
    }

    @Override
    public void close() {
        step.close();
        cluster.close();
    }
}
