package io.tsp.benchmark.paper;

import io.tsp.program.MemoryPlan;
import io.tsp.program.Schedule;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.MemoryClass;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Arenas of our own training programs, as they would be allocated but for libraries' workspaces.
 *
 * @param bytes of each class, of the rank that needs most in all
 */
record PlannedMemory(Map<MemoryClass, Long> bytes) {
    PlannedMemory {
        bytes = Map.copyOf(bytes);
    }

    long of(MemoryClass memoryClass) {
        return bytes.getOrDefault(memoryClass, 0L);
    }

    long total() {
        return bytes.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Of the whole reference, from plans of 2 and 3 layers of every rank: each further layer adds the same. */
    static PlannedMemory of(Scheme scheme, long seq, Recompute recompute) {
        return IntStream.range(0, scheme.mesh().worldSize())
                .mapToObj(rank -> extrapolated(scheme, seq, recompute, rank))
                .max(Comparator.comparingLong(PlannedMemory::total))
                .orElseThrow();
    }

    private static PlannedMemory extrapolated(Scheme scheme, long seq, Recompute recompute, int rank) {
        PlannedMemory two = plan(scheme, 2, seq, recompute, rank);
        PlannedMemory three = plan(scheme, 3, seq, recompute, rank);
        Map<MemoryClass, Long> bytes = new EnumMap<>(MemoryClass.class);
        for (MemoryClass memoryClass : MemoryClass.values()) {
            long layer = three.of(memoryClass) - two.of(memoryClass);
            bytes.put(memoryClass, two.of(memoryClass) + (Reference.MODEL.layers() - 2) * layer);
        }
        return new PlannedMemory(bytes);
    }

    /** Of a number of layers, on one rank. */
    static PlannedMemory plan(Scheme scheme, int layers, long seq, Recompute recompute, int rank) {
        TrainingRequest request =
                Reference.training(Reference.with(layers, Reference.MODEL.kvHeads()), 1, seq, recompute);
        Schedule schedule =
                Schedule.overlapped(scheme.training(request, rank).model().program());
        return new PlannedMemory(MemoryPlan.of(schedule, Map.of()).arenaBytes());
    }
}
