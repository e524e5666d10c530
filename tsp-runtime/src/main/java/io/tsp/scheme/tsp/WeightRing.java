package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Weight shards that travel round the ranks: at hop t rank p holds shard p - t (mod D), works with it, and passes it on
 * while it works. Two slots: the shard in hand and the one that arrives.
 */
final class WeightRing {
    private final ProgramBuilder program;
    private final Group group;
    private final int self;
    private final List<Long> counts;
    private final List<Tensor> slots = new ArrayList<>();

    /** What to do with a shard while it is in hand. */
    @FunctionalInterface
    interface Work {
        /** @param hop how many shards were in hand before */
        void on(int shard, int hop, Tensor weights);
    }

    /** @param counts elements of each rank's shard */
    WeightRing(RankBuilder builder, String name, Group group, List<Long> counts) {
        this.program = builder.program();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.counts = List.copyOf(counts);
        int hops = group.size() - 1;
        long[] largest = new long[Math.min(2, hops)];
        for (int hop = 0; hop < hops; hop++) {
            int slot = hop % largest.length;
            largest[slot] = Math.max(largest[slot], counts.get(shard(hop + 1)));
        }
        for (int i = 0; i < largest.length; i++) {
            slots.add(builder.arrival(name + " " + i, largest[i]));
        }
    }

    /** The shard that this rank holds after some hops. */
    private int shard(int hop) {
        return Math.floorMod(self - hop, group.size());
    }

    /** Sends this rank's shard on its way and does the work with each shard that comes by. */
    void travel(Tensor own, String label, Work work) {
        int size = group.size();
        Tensor inHand = own;
        for (int hop = 0; hop < size; hop++) {
            int shard = shard(hop);
            program.label(label + " " + shard);
            Tensor next = inHand;
            if (hop < size - 1) {
                next = slots.get(hop % slots.size()).rows(0, counts.get(shard(hop + 1)));
                program.communicate(Lane.WEIGHTS, pass(group, self, inHand, next));
            }
            work.on(shard, hop, inHand);
            inHand = next;
        }
    }

    /** One hop: what is in hand goes to the next rank, and what comes next arrives from the one before. */
    static SendReceive pass(Group group, int self, Tensor inHand, Tensor next) {
        int size = group.size();
        return new SendReceive(
                group, self, (self + 1) % size, unlessEmpty(inHand), Math.floorMod(self - 1, size), unlessEmpty(next));
    }

    private static @Nullable Tensor unlessEmpty(Tensor tensor) {
        return tensor.isEmpty() ? null : tensor;
    }
}
