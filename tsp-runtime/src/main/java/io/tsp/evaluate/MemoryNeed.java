package io.tsp.evaluate;

import io.tsp.program.MemoryPlan;
import io.tsp.program.Program;
import io.tsp.program.Schedule;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import java.util.ArrayList;
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
        Map<MemoryClass, Long> planned = programBytes(ranks);
        planned.merge(MemoryClass.HOST, keptBytes(ranks), Long::sum);
        return planned;
    }

    private Map<MemoryClass, Long> programBytes(List<Integer> ranks) {
        Map<MemoryClass, Long> planned = new EnumMap<>(MemoryClass.class);
        for (int rank : ranks) {
            Schedule schedule = Schedule.overlapped(programs.get(rank));
            MemoryPlan.of(schedule, Map.of())
                    .arenaBytes()
                    .forEach((key, bytes) -> planned.merge(key, bytes, Long::sum));
        }
        for (MemoryNeed reader : readers) {
            Map<MemoryClass, Long> more = reader.programBytes(ranks);
            more.remove(MemoryClass.PARAMETERS);
            more.forEach((key, bytes) -> planned.merge(key, bytes, Long::sum));
        }
        return planned;
    }

    /** Outside of programs. */
    private long keptBytes(List<Integer> ranks) {
        long kept = ranks.stream().mapToLong(hostBytes::get).sum();
        return kept
                + readers.stream().mapToLong(reader -> reader.keptBytes(ranks)).sum();
    }

    /** Planned bytes in each place: the host first, then the GPUs. */
    private List<Map<MemoryClass, Long>> demands(List<Integer> ranks, AvailableMemory available) {
        int gpus = available.gpuBytes().size();
        if (gpus == 0) {
            return List.of(plannedBytes(ranks));
        }
        List<Map<MemoryClass, Long>> demands = new ArrayList<>();
        demands.add(Map.of(MemoryClass.HOST, keptBytes(ranks)));
        for (int gpu = 0; gpu < gpus; gpu++) {
            demands.add(programBytes(available.on(gpu, ranks)));
        }
        return demands;
    }

    /** Whether there is memory for all ranks of several schemes at the same time. */
    static boolean fitTogether(List<MemoryNeed> needs, AvailableMemory available) {
        long[] total = new long[available.gpuBytes().size() + 1];
        for (MemoryNeed need : needs) {
            List<Map<MemoryClass, Long>> demands = need.demands(need.allRanks(), available);
            for (int place = 0; place < total.length; place++) {
                total[place] += sum(demands.get(place));
            }
        }
        return IntStream.range(0, total.length).allMatch(place -> total[place] <= available.bytes(place));
    }

    private static long sum(Map<MemoryClass, Long> bytes) {
        return bytes.values().stream().mapToLong(Long::longValue).sum();
    }

    /**
     * Returns if there is memory for some ranks.
     *
     * @throws InsufficientMemoryException naming the largest classes and what makes them smaller
     */
    public void requireFits(List<Integer> ranks, AvailableMemory available) {
        shortage(ranks, available).ifPresent(sentence -> {
            throw new InsufficientMemoryException(sentence);
        });
    }

    /** Why there is not enough memory for some ranks, in one sentence; empty if there is. */
    public Optional<String> shortage(List<Integer> ranks, AvailableMemory available) {
        List<Map<MemoryClass, Long>> demands = demands(ranks, available);
        for (int place = 0; place < demands.size(); place++) {
            if (sum(demands.get(place)) > available.bytes(place)) {
                int sharing = place == 0
                        ? ranks.size()
                        : available.on(place - 1, ranks).size();
                return Optional.of(
                        sentence(demands.get(place), sharing, AvailableMemory.name(place), available.bytes(place)));
            }
        }
        return Optional.empty();
    }

    private String sentence(Map<MemoryClass, Long> planned, int ranks, String place, long availableBytes) {
        long total = sum(planned);
        List<Map.Entry<MemoryClass, Long>> largest = planned.entrySet().stream()
                .filter(entry -> entry.getValue() >= NOTEWORTHY * total)
                .sorted(Map.Entry.<MemoryClass, Long>comparingByValue().reversed())
                .toList();
        String shares = largest.stream()
                .map(entry -> text(entry.getKey()) + " " + gib(entry.getValue()))
                .collect(Collectors.joining(", "));
        return scheme + " needs " + gib(total) + " for " + (ranks == 1 ? "its rank " : "its " + ranks + " ranks ")
                + place + " (" + shares + ") but only " + gib(availableBytes) + " are free; "
                + cure(largest.getFirst().getKey());
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
