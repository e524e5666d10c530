package io.tsp.evaluate;

import io.tsp.program.MemoryPlan;
import io.tsp.program.Program;
import io.tsp.program.Schedule;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The memory that the programs of all ranks need, before anything is allocated.
 *
 * @param scheme what a user calls it
 * @param dtype of weights and activations
 * @param programs one for each rank of the world
 * @param readers programs of the same ranks that read the parameters of these instead of having their own
 * @param hostBytes for each rank, what is kept outside of programs
 */
public record MemoryNeed(
        String scheme, DType dtype, List<Program> programs, List<MemoryNeed> readers, List<Long> hostBytes) {
    /** Classes with less of the whole are not named. */
    private static final double NOTEWORTHY = 0.05;

    public MemoryNeed {
        programs = List.copyOf(programs);
        readers = List.copyOf(readers);
        hostBytes = List.copyOf(hostBytes);
    }

    /** Of programs alone. */
    public static MemoryNeed of(String scheme, DType dtype, List<Program> programs) {
        return new MemoryNeed(scheme, dtype, programs, List.of(), Collections.nCopies(programs.size(), 0L));
    }

    /** Every rank of the world. */
    public List<Integer> allRanks() {
        return IntStream.range(0, programs.size()).boxed().toList();
    }

    /** Planned bytes of some ranks together, without the workspaces of libraries, which only a device knows. */
    public Map<MemoryClass, Long> plannedBytes(List<Integer> ranks) {
        Map<MemoryClass, Long> planned = new EnumMap<>(MemoryClass.class);
        for (int rank : ranks) {
            Schedule schedule = Schedule.overlapped(programs.get(rank));
            MemoryPlan.of(schedule, Map.of())
                    .arenaBytes()
                    .forEach((key, bytes) -> planned.merge(key, bytes, Long::sum));
            planned.merge(MemoryClass.HOST, hostBytes.get(rank), Long::sum);
        }
        for (MemoryNeed reader : readers) {
            Map<MemoryClass, Long> more = reader.plannedBytes(ranks);
            more.remove(MemoryClass.PARAMETERS);
            more.forEach((key, bytes) -> planned.merge(key, bytes, Long::sum));
        }
        return planned;
    }

    /**
     * Returns if there is memory for some ranks.
     *
     * @throws InsufficientMemoryException naming the largest classes and what makes them smaller
     */
    public void requireFits(List<Integer> ranks, long availableBytes) {
        shortage(ranks, availableBytes).ifPresent(sentence -> {
            throw new InsufficientMemoryException(sentence);
        });
    }

    /** Why there is not enough memory for some ranks, in one sentence; empty if there is. */
    public Optional<String> shortage(List<Integer> ranks, long availableBytes) {
        Map<MemoryClass, Long> planned = plannedBytes(ranks);
        long total = planned.values().stream().mapToLong(Long::longValue).sum();
        if (total <= availableBytes) {
            return Optional.empty();
        }
        List<Map.Entry<MemoryClass, Long>> largest = planned.entrySet().stream()
                .filter(entry -> entry.getValue() >= NOTEWORTHY * total)
                .sorted(Map.Entry.<MemoryClass, Long>comparingByValue().reversed())
                .toList();
        String shares = largest.stream()
                .map(entry -> text(entry.getKey()) + " " + gib(entry.getValue()))
                .collect(Collectors.joining(", "));
        return Optional.of(scheme + " needs " + gib(total) + " for "
                + (ranks.size() == 1 ? "its rank" : "its " + ranks.size() + " ranks") + " here (" + shares
                + ") but only " + gib(availableBytes) + " are free; "
                + cure(largest.getFirst().getKey()));
    }

    private String cure(MemoryClass largest) {
        if (largest == MemoryClass.PARAMETERS || largest == MemoryClass.OPTIMIZER || largest == MemoryClass.GRADIENTS) {
            return dtype == DType.F32
                    ? "use --dtype bf16, a smaller model or a machine with more memory"
                    : "use a smaller model or a machine with more memory";
        }
        return "use a smaller --batch or --seq";
    }

    /** What a message and a table call a class. */
    private static String text(MemoryClass memoryClass) {
        return memoryClass.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }

    private static String gib(long bytes) {
        return String.format(Locale.ROOT, "%.1f GiB", bytes / (double) (1L << 30));
    }
}
