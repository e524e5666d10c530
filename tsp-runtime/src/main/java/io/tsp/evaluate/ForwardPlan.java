package io.tsp.evaluate;

import io.tsp.data.TokenBatch;
import io.tsp.mesh.Range;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter;
import io.tsp.program.MemoryPlan;
import io.tsp.program.Schedule;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The programs of all ranks before anything is allocated: what a run is going to need.
 *
 * @param programs one for each rank of the world
 */
public record ForwardPlan(Scheme scheme, ForwardRequest request, List<ForwardProgram> programs) {
    /** Classes with less of the whole are not named. */
    private static final double NOTEWORTHY = 0.05;

    public ForwardPlan {
        programs = List.copyOf(programs);
    }

    public static ForwardPlan of(Scheme scheme, ForwardRequest request) {
        return new ForwardPlan(
                scheme,
                request,
                IntStream.range(0, scheme.mesh().worldSize())
                        .mapToObj(rank -> scheme.forward(request, rank))
                        .toList());
    }

    /** What to compute for batches like this one. */
    public static ForwardRequest request(ModelConfig config, DType dtype, TokenBatch batch, boolean logits) {
        boolean packed = Arrays.stream(batch.kvStart()).anyMatch(start -> start > 0);
        return new ForwardRequest(config, dtype, batch.batch(), batch.seq(), packed, logits);
    }

    public int ranks() {
        return programs.size();
    }

    /** Every rank of the world. */
    public List<Integer> allRanks() {
        return IntStream.range(0, ranks()).boxed().toList();
    }

    /** Bytes that some ranks read when they load their weights. */
    public long weightBytes(List<Integer> ranks) {
        return ranks.stream()
                .flatMap(rank -> programs.get(rank).parameters().stream())
                .mapToLong(parameter ->
                        elements(parameter) * parameter.tensor().dtype().bytes())
                .sum();
    }

    private static long elements(Parameter parameter) {
        return switch (parameter.source()) {
            case Parameter.Block block -> area(block.rows(), block.columns());
            case Parameter.Panels panels -> area(panels.rows(), panels.columns());
            case Parameter.GateUpPanels panels -> 2 * area(panels.rows(), panels.columns());
        };
    }

    private static long area(Range rows, Range columns) {
        return rows.count() * columns.count();
    }

    /** Planned bytes of some ranks together, without the workspaces of libraries, which only a device knows. */
    public Map<MemoryClass, Long> plannedBytes(List<Integer> ranks) {
        Map<MemoryClass, Long> planned = new EnumMap<>(MemoryClass.class);
        for (int rank : ranks) {
            Schedule schedule = Schedule.overlapped(programs.get(rank).program());
            MemoryPlan.of(schedule, Map.of())
                    .arenaBytes()
                    .forEach((key, bytes) -> planned.merge(key, bytes, Long::sum));
        }
        return planned;
    }

    /**
     * Returns if there is memory for some ranks of this plan.
     *
     * @throws InsufficientMemoryException naming the largest classes and what makes them smaller
     */
    public void requireFits(List<Integer> ranks, long availableBytes) {
        shortage(ranks, availableBytes).ifPresent(sentence -> {
            throw new InsufficientMemoryException(sentence);
        });
    }

    /** Why there is not enough memory for some ranks of this plan, in one sentence; empty if there is. */
    Optional<String> shortage(List<Integer> ranks, long availableBytes) {
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
        return Optional.of(scheme.name() + " needs " + gib(total) + " for "
                + (ranks.size() == 1 ? "its rank" : "its " + ranks.size() + " ranks") + " here (" + shares
                + ") but only " + gib(availableBytes) + " are free; "
                + cure(largest.getFirst().getKey()));
    }

    private String cure(MemoryClass largest) {
        if (largest == MemoryClass.PARAMETERS) {
            return request.dtype() == DType.F32
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
