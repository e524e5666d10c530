package io.tsp.plan;

import io.tsp.program.Lane;
import io.tsp.program.MemoryPlan;
import io.tsp.program.SimulatedStep;
import io.tsp.tensor.MemoryClass;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.DoubleBinaryOperator;
import java.util.stream.IntStream;

/**
 * What a step costs in simulated time. Memory is that of the rank that needs most; compute, waits and bytes are those of
 * the rank that computes longest.
 *
 * @param seconds of the whole step
 * @param computeSeconds the device works
 * @param skewSeconds it waits for a rank that has not come to an exchange
 * @param exposedSeconds it waits for bytes, by the lane that brings them
 * @param bytesByClass arenas
 * @param bytesSent bytes that the rank puts on the wire
 * @param flops of matrix products and attention of the rank, what is computed again included
 */
public record Prediction(
        double seconds,
        double computeSeconds,
        double skewSeconds,
        Map<Lane, Double> exposedSeconds,
        Map<MemoryClass, Long> bytesByClass,
        long bytesSent,
        double flops) {
    public Prediction {
        Map<Lane, Double> waits = new EnumMap<>(Lane.class);
        waits.putAll(exposedSeconds);
        exposedSeconds = Collections.unmodifiableMap(waits);
        Map<MemoryClass, Long> bytes = new EnumMap<>(MemoryClass.class);
        bytes.putAll(bytesByClass);
        bytesByClass = Collections.unmodifiableMap(bytes);
    }

    static Prediction of(SimulatedStep step) {
        int longest = IntStream.range(0, step.ranks().size())
                .boxed()
                .max(Comparator.comparingDouble(rank -> step.parts(rank).computeSeconds()))
                .orElseThrow();
        SimulatedStep.Parts parts = step.parts(longest);
        MemoryPlan largest = step.ranks().stream()
                .map(SimulatedStep.Rank::plan)
                .max(Comparator.comparingLong(MemoryPlan::peakBytes))
                .orElseThrow();
        SimulatedStep.Rank rank = step.ranks().get(longest);
        return new Prediction(
                step.seconds(),
                parts.computeSeconds(),
                parts.skewSeconds(),
                parts.exposedTransferSeconds(),
                largest.arenaBytes(),
                rank.trace().schedule().program().bytesSent(),
                rank.flops());
    }

    /** Arenas of a rank together. */
    public long bytesPerRank() {
        return bytesByClass.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Waits for bytes on all lanes. */
    public double exposedTransferSeconds() {
        return exposedSeconds.values().stream().mapToDouble(Double::doubleValue).sum();
    }

    /**
     * What more layers cost, if every further one costs as much as the last.
     *
     * @param more the same step with one layer more than this one
     * @param layers beyond those of this one
     */
    Prediction extrapolate(Prediction more, int layers) {
        DoubleBinaryOperator line = (one, two) -> one + layers * (two - one);
        Map<Lane, Double> exposed = new HashMap<>();
        Set<Lane> lanes = new HashSet<>(exposedSeconds.keySet());
        lanes.addAll(more.exposedSeconds.keySet());
        for (Lane lane : lanes) {
            double wait = line.applyAsDouble(
                    exposedSeconds.getOrDefault(lane, 0.0), more.exposedSeconds.getOrDefault(lane, 0.0));
            exposed.put(lane, Math.max(0, wait));
        }
        Map<MemoryClass, Long> bytes = new EnumMap<>(MemoryClass.class);
        more.bytesByClass.forEach((key, two) -> {
            long one = bytesByClass.getOrDefault(key, 0L);
            bytes.put(key, one + layers * (two - one));
        });
        return new Prediction(
                line.applyAsDouble(seconds, more.seconds),
                line.applyAsDouble(computeSeconds, more.computeSeconds),
                Math.max(0, line.applyAsDouble(skewSeconds, more.skewSeconds)),
                exposed,
                bytes,
                bytesSent + layers * (more.bytesSent - bytesSent),
                line.applyAsDouble(flops, more.flops));
    }
}
