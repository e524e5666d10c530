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

    private void allocateSlots() {
        long rows = firstRows[group.size()];
        long weights = shards.stream().mapToLong(AttentionShard::count).max().orElse(0);
        long kvWidth = buckets.stream()
                        .mapToLong(bucket -> bucket.kvOwned().count())
                        .max()
                        .orElse(0)
                * 2
                * builder.config().headDim();
        for (int i = 0; i < Math.min(WEIGHT_SLOTS, group.size() - 1); i++) {
            weightSlots.add(builder.arrival("attention weights " + i, weights));
        }
        for (int i = 0; i < 2; i++) {
            kvSlots.add(builder.arrival("gathered keys and values " + i, rows * kvWidth));
            querySlots.add(builder.activation("queries " + i, builder.dtype(), normed.dim(0), widestQueries()));
        }
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
            int arrival = r < self ? r : r - 1;
            return weightSlots
                    .get(arrival % weightSlots.size())
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

        /** Slots alternate over the buckets that own keys and values; one stays in use until its last query bucket. */
        private Tensor gathered(int r) {
            long earlier = buckets.subList(0, r).stream()
                    .filter(bucket -> !bucket.kvOwned().isEmpty())
                    .count();
            long rows = firstRows[group.size()];
            long width = buckets.get(r).kvOwned().count() * 2 * builder.config().headDim();
            return kvSlots.get((int) (earlier % kvSlots.size()))
                    .rows(0, rows * width)
                    .reshape(rows, width);
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
