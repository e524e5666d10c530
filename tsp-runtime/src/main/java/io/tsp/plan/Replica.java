package io.tsp.plan;

import io.tsp.program.Program;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The programs of one replica of a data-parallel mesh: all that must be built to simulate thousands of ranks. It is the
 * last replica, which has as many sequences as any if they do not divide evenly.
 */
public final class Replica {
    private Replica() {}

    /** Forward programs of its ranks, in rank order. */
    public static List<Program> forward(Scheme scheme, ForwardRequest request) {
        return ranks(scheme)
                .mapToObj(rank -> scheme.forward(request, rank).program())
                .toList();
    }

    /** Training programs of its ranks, in rank order. */
    public static List<Program> training(Scheme scheme, TrainingRequest request) {
        return ranks(scheme)
                .mapToObj(rank -> scheme.training(request, rank).model().program())
                .toList();
    }

    /** The data-parallel axis is the outermost of every mesh. */
    private static IntStream ranks(Scheme scheme) {
        int world = scheme.mesh().worldSize();
        return IntStream.range(world - world / scheme.mesh().degree("dp"), world);
    }
}
