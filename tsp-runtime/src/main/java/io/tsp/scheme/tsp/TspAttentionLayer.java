package io.tsp.scheme.tsp;

import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The stages of one layer's attention, bucket by bucket, which the forward and the backward pass share. Buckets beyond
 * the last are nothing to do.
 */
final class TspAttentionLayer {
    /** Projections that a later stage needs: of this bucket, the next, and the one after it. */
    private static final int BEFORE_NORM_SLOTS = 3;

    final int layer;
    /** The sub-layer's input, [T, h]. */
    final Tensor x;

    private final TspAttentionSlots slots;
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final Block block;
    private final Block.Tokens tokens;
    private final Tensor own;
    private final Block.@Nullable HeadNorms headNorms;
    /** Whether projections are there already. */
    private final boolean known;
    /** Whether queries and keys are kept as they were before the norm of each head. */
    private final boolean keepsBeforeNorm;

    private final Tensor[] keysAndValues;
    private Tensor latest;

    /**
     * @param backward whether what the forward pass kept is there, and norms' gradients need what the norms had read
     */
    TspAttentionLayer(TspAttentionSlots slots, Block.Tokens tokens, Tensor normed, int layer, boolean backward) {
        this.slots = slots;
        this.builder = slots.builder;
        this.program = builder.program();
        this.block = builder.block();
        this.tokens = tokens;
        x = builder.input(2 * layer, normed);
        this.layer = layer;
        AttentionShard shard = slots.shards.get(slots.self);
        own = builder.weights()
                .buffer(
                        "layer " + layer + " attention weights",
                        shard.count(),
                        packed -> shard.parameters(layer, packed));
        headNorms = builder.headNorms(layer);
        known = backward && builder.keepsAll();
        keepsBeforeNorm = (backward || builder.keepsAll()) && headNorms != null;
        keysAndValues = new Tensor[slots.group.size()];
        latest = slots.keysAndValues(0).rows(0, 0);
    }

    private boolean exists(int r) {
        return r < slots.group.size();
    }

    private Tensor packed(int r) {
        return r == slots.self ? own : slots.weights(r);
    }

    AttentionShard.Weights weights(int r) {
        return slots.shards.get(r).view(packed(r));
    }

    /** The weights of bucket r come from their owner. */
    void arrive(int r) {
        if (exists(r)) {
            program.label("layer " + layer + " attention weights " + r);
            program.communicate(Lane.WEIGHTS, new Broadcast(slots.group, slots.self, r, packed(r)));
        }
    }

    /** Queries of bucket r, and keys and values gathered from all ranks if the bucket owns any. */
    void project(int r) {
        if (!exists(r)) {
            return;
        }
        program.label("layer " + layer + " attention project " + r);
        AttentionShard.Weights weights = weights(r);
        if (!known) {
            block.projectQueries(x, weights, headNorms, queries(r), keepsBeforeNorm ? queriesBeforeNorm(r) : null);
        }
        if (!slots.buckets.get(r).kvOwned().isEmpty()) {
            List<Tensor> parts = slots.parts(slots.keysAndValues(r));
            Tensor mine = builder.kept(layer, "keys and values " + r, parts.get(slots.self));
            if (!known) {
                block.projectKeysAndValues(x, weights, headNorms, mine, keepsBeforeNorm ? keysBeforeNorm(r) : null);
            }
            program.communicate(Lane.KV, new AllGather(slots.group, slots.self, mine, parts));
            latest = slots.group.size() == 1 ? mine : slots.keysAndValues(r);
        }
        keysAndValues[r] = latest;
    }

    private Tensor queries(int r) {
        return builder.kept(layer, "queries " + r, slots.queries(r));
    }

    Tensor queriesBeforeNorm(int r) {
        return beforeNorm("queries", r, r, slots.widestQueries(), slots.queryWidth(r));
    }

    Tensor keysBeforeNorm(int r) {
        return beforeNorm("keys", r, slots.kvOrdinal(r), slots.widestKeysAndValues() / 2, slots.kvWidth(r) / 2);
    }

    private Tensor beforeNorm(String which, int r, int ordinal, long widest, long width) {
        if (builder.keepsAll()) {
            String kept = "layer " + layer + " " + which + " before norm " + r;
            return builder.saved(kept, builder.dtype(), slots.ownRows(), width);
        }
        String name = which + " before norm " + ordinal % BEFORE_NORM_SLOTS;
        return TspAttentionSlots.matrix(
                builder.scratch(name, builder.dtype(), slots.ownRows(), widest), slots.ownRows(), width);
    }

    /** The launch of bucket r, whose queries, keys and values are there. */
    Attention attention(int r) {
        return block.attention(layer, queries(r), keysAndValues[r], tokens, attended(r), logSumExp(r));
    }

    /** Attention's output, kept for the backward pass or not. */
    Tensor attended(int r) {
        return builder.keepsAttention()
                ? builder.saved(
                        "layer " + layer + " attended " + r, builder.dtype(), slots.ownRows(), slots.queryWidth(r))
                : slots.attended(r);
    }

    private @Nullable Tensor logSumExp(int r) {
        if (builder.training() == null) {
            return null;
        }
        long headDim = builder.config().headDim();
        long heads = slots.queryWidth(r) / headDim;
        return builder.keepsAttention()
                ? builder.saved("layer " + layer + " log-sum-exp " + r, DType.F32, slots.ownRows(), heads)
                : TspAttentionSlots.matrix(
                        builder.scratch("log-sum-exp", DType.F32, slots.ownRows(), slots.widestQueries() / headDim),
                        slots.ownRows(),
                        heads);
    }
}
