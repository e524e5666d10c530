package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.HeadBuckets;
import io.tsp.mesh.HeadBuckets.Bucket;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Attention under tsp (arXiv 2604.26294, algorithm 1). For each bucket of heads r = 0..D-1: the owner's packed
 * {WQ, WK, WV, WO} are broadcast, every rank projects its tokens, keys and values are gathered in one transfer, the
 * rank's queries attend to all keys, and Y += A WO of the bucket. Nothing is reduced between ranks.
 *
 * <p>A pipeline of three: while attention r runs, keys and values of bucket r+1 are on their way, and so are the weights
 * of bucket r+2. Hence three slots for weights and two for keys and values.
 *
 * <p>Reading order: before this {@link Block} and {@code Zigzag}; next {@link TspMlp}.
 */
final class TspAttention {
    private static final int WEIGHT_SLOTS = 3;
    private static final int KV_SLOTS = 2;

    private final ForwardBuilder builder;
    private final ProgramBuilder program;
    private final Block block;
    private final Group group;
    private final int self;
    private final Tensor normed;
    private final Tensor y;
    private final Block.Tokens tokens;
    private final long[] firstRows;
    private final List<AttentionShard> shards = new ArrayList<>();
    private final List<Bucket> buckets;
    private final List<Tensor> weightSlots = new ArrayList<>();
    private final List<Tensor> kvSlots = new ArrayList<>();
    private final List<Tensor> querySlots = new ArrayList<>();
    private final Tensor attended;

    TspAttention(ForwardBuilder builder, Group group, List<TokenPlacement> placements, Tensor normed, Tensor y) {
        this.builder = builder;
        this.program = builder.program();
        this.block = builder.block();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.normed = normed;
        this.y = y;
        tokens = builder.attentionTokens(List.of(builder.tokens()), placements);
        firstRows = new long[group.size() + 1];
        for (int i = 0; i < group.size(); i++) {
            firstRows[i + 1] = firstRows[i] + placements.get(i).rows();
        }
        buckets = HeadBuckets.of(builder.config().heads(), builder.config().kvHeads(), group.size());
        buckets.forEach(bucket ->
                shards.add(new AttentionShard(builder.config(), builder.dtype(), bucket.heads(), bucket.kvOwned())));
        allocateSlots();
        attended = builder.activation("attended", builder.dtype(), normed.dim(0), widestQueries());
    }

    /** Each slot as large as what it will hold: shards of other ranks, and gathered keys and values. */
    private void allocateSlots() {
        long[] weights = new long[Math.min(WEIGHT_SLOTS, group.size() - 1)];
        long[] keysAndValues = new long[KV_SLOTS];
        for (int r = 0; r < group.size(); r++) {
            if (r != self) {
                int slot = arrival(r) % weights.length;
                weights[slot] = Math.max(weights[slot], shards.get(r).count());
            }
            int slot = kvSlot(r);
            keysAndValues[slot] = Math.max(keysAndValues[slot], firstRows[group.size()] * kvWidth(r));
        }
        for (int i = 0; i < weights.length; i++) {
            weightSlots.add(builder.arrival("attention weights " + i, weights[i]));
        }
        for (int i = 0; i < KV_SLOTS; i++) {
            kvSlots.add(builder.arrival("gathered keys and values " + i, keysAndValues[i]));
            querySlots.add(builder.activation("queries " + i, builder.dtype(), normed.dim(0), widestQueries()));
        }
    }

    /** Place of another rank's bucket among those that arrive here. */
    private int arrival(int r) {
        return r < self ? r : r - 1;
    }

    /** Slots alternate over the buckets that own keys and values; one stays in use until its last query bucket. */
    private int kvSlot(int r) {
        long earlier = buckets.subList(0, r).stream()
                .filter(bucket -> !bucket.kvOwned().isEmpty())
                .count();
        return (int) (earlier % KV_SLOTS);
    }

    private long kvWidth(int r) {
        return 2 * buckets.get(r).kvOwned().count() * builder.config().headDim();
    }

    private long widestQueries() {
        return buckets.stream()
                        .mapToLong(bucket -> bucket.heads().count())
                        .max()
                        .orElse(0)
                * builder.config().headDim();
    }

    /** Y = attention(normed) of one layer. */
    void forward(int layer) {
        Layer pipeline = new Layer(layer);
        int last = group.size() - 1;
        pipeline.arrive(0);
        pipeline.arrive(1);
        pipeline.project(0);
        for (int r = 0; r <= last; r++) {
            pipeline.arrive(r + 2);
            pipeline.project(r + 1);
            pipeline.attend(r);
        }
    }

    /** The pipeline's stages for one layer; buckets beyond the last are nothing to do. */
    private final class Layer {
        private final int layer;
        private final Tensor own;
        private final Block.@Nullable HeadNorms headNorms;
        private final Tensor[] keysAndValues = new Tensor[group.size()];
        private Tensor latest = kvSlots.get(0).rows(0, 0).reshape(0, 0);

        Layer(int layer) {
            this.layer = layer;
            AttentionShard shard = shards.get(self);
            own = builder.parameterBuffer("layer " + layer + " attention weights", shard.count());
            builder.fill(shard.parameters(layer, own));
            headNorms = builder.headNorms(layer);
        }

        private Tensor packed(int r) {
            if (r == self) {
                return own;
            }
            return weightSlots
                    .get(arrival(r) % weightSlots.size())
                    .rows(0, shards.get(r).count());
        }

        /** The weights of bucket r come from their owner. */
        void arrive(int r) {
            if (r < group.size()) {
                program.label("layer " + layer + " attention weights " + r);
                program.communicate(Lane.WEIGHTS, new Broadcast(group, self, r, packed(r)));
            }
        }

        /** Queries of bucket r, and keys and values gathered from all ranks if the bucket owns any. */
        void project(int r) {
            if (r >= group.size()) {
                return;
            }
            program.label("layer " + layer + " attention project " + r);
            AttentionShard.Weights weights = shards.get(r).view(packed(r));
            block.projectQueries(normed, weights, headNorms, queries(r));
            if (!buckets.get(r).kvOwned().isEmpty()) {
                latest = gathered(r);
                List<Tensor> parts = parts(latest);
                block.projectKeysAndValues(normed, weights, headNorms, parts.get(self));
                program.communicate(Lane.KV, AllGather.inPlace(group, self, parts));
            }
            keysAndValues[r] = latest;
        }

        private Tensor gathered(int r) {
            long rows = firstRows[group.size()];
            return kvSlots.get(kvSlot(r)).rows(0, rows * kvWidth(r)).reshape(rows, kvWidth(r));
        }

        private List<Tensor> parts(Tensor gathered) {
            List<Tensor> parts = new ArrayList<>();
            for (int i = 0; i < group.size(); i++) {
                parts.add(gathered.rows(firstRows[i], firstRows[i + 1] - firstRows[i]));
            }
            return parts;
        }

        private Tensor queries(int r) {
            return narrow(querySlots.get(r % querySlots.size()), r);
        }

        private Tensor narrow(Tensor slot, int r) {
            long width = buckets.get(r).heads().count() * builder.config().headDim();
            return slot.reshape(slot.count()).rows(0, slot.dim(0) * width).reshape(slot.dim(0), width);
        }

        /** The bucket's attention and its share of the output. */
        void attend(int r) {
            program.label("layer " + layer + " attention " + r);
            Tensor out = narrow(attended, r);
            block.attend(layer, queries(r), keysAndValues[r], tokens, out);
            block.output(out, shards.get(r).view(packed(r)), y, r > 0);
        }
    }
}
