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

    /** What it needs before a device is known. */
    public MemoryNeed memory() {
        return new MemoryNeed(
                scheme.name(),
                request.forward().dtype(),
                programs.stream().map(program -> program.model().program()).toList());
    }
}
