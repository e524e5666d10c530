package io.tsp.plan;

import io.tsp.program.Program;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The programs of the first replica of a data-parallel mesh: all that must be built to simulate thousands of ranks. Nobody
 * has more to do than it has, since it also takes part in what one copy of the weights suffices for, such as the norm of
 * the gradients; only if sequences do not divide evenly the last replica may have one more, and is added.
 */
public final class Replica {
    private Replica() {}

    /** Forward programs of its ranks, in rank order. */
    public static List<Program> forward(Scheme scheme, ForwardRequest request) {
        return ranks(scheme, request.batch())
                .mapToObj(rank -> scheme.forward(request, rank).program())
                .toList();
    }

    /** Training programs of its ranks, in rank order. */
    public static List<Program> training(Scheme scheme, TrainingRequest request) {
        return ranks(scheme, request.forward().batch())
                .mapToObj(rank -> scheme.training(request, rank).model().program())
                .toList();
    }

    /** The data-parallel axis is the outermost of every mesh. */
    private static IntStream ranks(Scheme scheme, long batch) {
        int world = scheme.mesh().worldSize();
        int replicas = scheme.mesh().degree("dp");
        IntStream first = IntStream.range(0, world / replicas);
        return batch % replicas == 0
                ? first
                : IntStream.concat(first, IntStream.range(world - world / replicas, world));
    }
}
