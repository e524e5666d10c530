package io.tsp.train;

import io.tsp.evaluate.MemoryNeed;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingProgram;
import io.tsp.scheme.TrainingRequest;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A step of training on all ranks, before anything is allocated.
 *
 * @param programs one for each rank of the world
 */
public record TrainingPlan(Scheme scheme, TrainingRequest request, List<TrainingProgram> programs) {
    public TrainingPlan {
        programs = List.copyOf(programs);
    }

    public static TrainingPlan of(Scheme scheme, TrainingRequest request) {
        return new TrainingPlan(
                scheme,
                request,
                IntStream.range(0, scheme.mesh().worldSize())
                        .mapToObj(rank -> scheme.training(request, rank))
                        .toList());
    }

    public int ranks() {
        return programs.size();
    }

    /**
     * Bytes that some ranks read when they begin.
     *
     * @param resuming whether the optimizer's moments are read, too
     */
    public long loadedBytes(List<Integer> ranks, boolean resuming) {
        return ranks.stream()
                .map(programs::get)
                .mapToLong(program -> bytes(program, resuming))
                .sum();
    }

    private static long bytes(TrainingProgram program, boolean resuming) {
        long weights = program.model().parameters().stream()
                .mapToLong(parameter -> parameter.tensor().bytes())
                .sum();
        long states = program.update() == null
                ? 0
                : program.update().states().stream()
                        .mapToLong(state -> state.parameter().bytes()
                                + (resuming
                                        ? state.first().bytes() + state.second().bytes()
                                        : 0))
                        .sum();
        return weights + states;
    }

    /** What it needs before a device is known. */
    public MemoryNeed memory() {
        return MemoryNeed.of(
                scheme.name(),
                request.forward().dtype(),
                programs.stream().map(program -> program.model().program()).toList());
    }
}
