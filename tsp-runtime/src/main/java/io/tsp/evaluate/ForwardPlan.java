package io.tsp.evaluate;

import io.tsp.data.TokenBatch;
import io.tsp.mesh.Range;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The programs of all ranks before anything is allocated: what a run is going to need.
 *
 * @param programs one for each rank of the world
 */
public record ForwardPlan(Scheme scheme, ForwardRequest request, List<ForwardProgram> programs) {
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

    /** What it needs before a device is known. */
    public MemoryNeed memory() {
        return MemoryNeed.of(
                scheme.name(),
                request.dtype(),
                programs.stream().map(ForwardProgram::program).toList());
    }
}
