package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.op.TrainingOp.Sum;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Gradients that travel with the shards of a {@link WeightRing}: an accumulator, f32, starts at the rank after a shard's
 * owner, every rank adds its own gradient while it has the shard in hand, and the owner adds what comes home to its own.
 * So the sum has ring order, and no rank holds more than its own gradient and two accumulators.
 */
final class GradientRing {
    private final ProgramBuilder program;
    private final Group group;
    private final int self;
    private final List<Long> counts;
    private final List<Tensor> slots = new ArrayList<>();

    /** @param counts elements of each shard's gradient */
    GradientRing(RankBuilder builder, String name, Group group, List<Long> counts) {
        this.program = builder.program();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.counts = List.copyOf(counts);
        long[] largest = new long[group.size() == 1 ? 0 : 2];
        for (int hop = 1; hop <= group.size() && largest.length > 0; hop++) {
            int slot = hop % largest.length;
            largest[slot] = Math.max(largest[slot], counts.get(shard(hop)));
        }
        for (int i = 0; i < largest.length; i++) {
            slots.add(builder.arrival(name + " " + i, DType.F32, largest[i]));
        }
    }

    private int shard(int hop) {
        return Math.floorMod(self - hop, group.size());
    }

    private Tensor slot(int hop) {
        return slots.get(hop % slots.size()).rows(0, counts.get(shard(hop)));
    }

    /**
     * The accumulator of the shard that is in hand at a hop.
     *
     * @param own the gradient of this rank's shard
     */
    Tensor at(int hop, Tensor own) {
        return hop == 0 ? own : slot(hop);
    }

    /**
     * Whether there is something in the accumulator of a hop already.
     *
     * @param owner whether there is in that of this rank's own shard
     */
    static boolean accumulates(int hop, boolean owner) {
        return hop == 0 ? owner : hop > 1;
    }

    /** Passes the accumulator on after the work of a hop; after the last one, what comes home is added to own. */
    void pass(int hop, Tensor own) {
        if (hop == 0) {
            return;
        }
        Tensor next = slot(hop + 1);
        program.communicate(Lane.GRADS, WeightRing.pass(group, self, slot(hop), next));
        if (hop == group.size() - 1) {
            program.compute(new Sum(List.of(own, next), own));
        }
    }
}
