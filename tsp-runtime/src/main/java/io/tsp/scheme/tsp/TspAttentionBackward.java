package io.tsp.scheme.tsp;

import io.tsp.model.AttentionGradients;
import io.tsp.model.AttentionShard;
import io.tsp.model.BlockBackward;
import io.tsp.model.BlockBackward.HeadNorm;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of {@link TspAttention}. Buckets come by once more: weights are broadcast, keys and values gathered again.
 * The gradients of keys and values are reduce-scattered to the owners of the tokens once the last bucket that reads them
 * is done, and reach the weights one bucket later, so that the exchange is behind an attention. The gradients of a
 * bucket's weights are reduced to the bucket's owner, where they accumulate.
 */
final class TspAttentionBackward {
    private static final int SLOTS = 2;

    private final TspAttentionSlots slots;
    private final TspAttention forward;
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final BlockBackward block;
    private final Sharing sharing;
    private final Sharing normSharing;
    private final Tensor dY;
    private final Tensor dNormed;
    private final Tensor dAttended;
    private final Tensor dQueries;
    private final Tensor rounded;
    private final boolean spans;

    /**
     * @param sharing who shares the gradients of this rank's bucket
     * @param normSharing who shares those of the norms of heads
     */
    TspAttentionBackward(TspAttention forward, Sharing sharing, Sharing normSharing, Tensor dY, Tensor dNormed) {
        this.forward = forward;
        this.slots = forward.slots;
        this.builder = slots.builder;
        this.program = builder.program();
        this.block = builder.blockBackward();
        this.sharing = sharing;
        this.normSharing = normSharing;
        this.dY = dY;
        this.dNormed = dNormed;
        dAttended = builder.activation("gradient of attended", builder.dtype(), slots.ownRows(), slots.widestQueries());
        dQueries = builder.activation("gradient of queries", builder.dtype(), slots.ownRows(), slots.widestQueries());
        rounded = builder.activation(
                "rounded gradient of keys and values",
                builder.dtype(),
                builder.dtype() == DType.F32 ? 0 : slots.ownRows(),
                slots.widestKeysAndValues());
        spans = slots.buckets.stream()
                .anyMatch(bucket -> !bucket.isEmpty() && bucket.kvOwned().isEmpty());
    }

    /** dNormed = the gradient through the attention of one layer. */
    void backward(int layer) {
        TspAttentionLayer stages = new TspAttentionLayer(slots, forward.tokens, forward.normed, layer, true);
        Layer pipeline = new Layer(stages);
        int size = slots.group.size();
        stages.arrive(0);
        stages.arrive(1);
        pipeline.project(0);
        for (int r = 0; r < size; r++) {
            stages.arrive(r + 2);
            pipeline.project(r + 1);
            pipeline.attend(r);
            pipeline.finishKeysAndValues();
            pipeline.reduceKeysAndValues(r);
        }
        pipeline.finishKeysAndValues();
    }

    private final class Layer {
        private final TspAttentionLayer stages;
        private final String label;
        private final boolean accumulates = builder.accumulates();
        private int owner = -1;
        private int waiting = -1;
        private boolean firstKeys = true;

        Layer(TspAttentionLayer stages) {
            this.stages = stages;
            label = "layer " + stages.layer + " attention backward ";
        }

        void project(int r) {
            stages.project(r);
            if (r < slots.group.size()
                    && spans
                    && !slots.buckets.get(r).kvOwned().isEmpty()) {
                program.compute(new Copy(stages.weights(r).kv(), kvWeights(r)));
            }
        }

        /** WK and WV of bucket r: a copy where more buckets than one read its keys and values. */
        private Tensor kvWeights(int r) {
            if (!spans) {
                return stages.weights(r).kv();
            }
            Tensor slot = builder.scratch(
                    "kv weights " + slots.kvOrdinal(r) % (SLOTS + 1),
                    builder.dtype(),
                    slots.widestKeysAndValues(),
                    builder.config().hidden());
            return slot.rows(0, slots.kvWidth(r));
        }

        void attend(int r) {
            program.label(label + r);
            boolean owns = !slots.buckets.get(r).kvOwned().isEmpty();
            owner = owns ? r : owner;
            AttentionShard.Weights weights = stages.weights(r);
            AttentionGradients.Queries gradients = gradients(r).queries(queryGradient(r), accumulates(r));
            Attention attention = stages.attention(r);
            if (!builder.keepsAttention()) {
                program.compute(attention);
            }
            Tensor dOut = TspAttentionSlots.matrix(dAttended, slots.ownRows(), slots.queryWidth(r));
            Tensor dQ = TspAttentionSlots.matrix(dQueries, slots.ownRows(), slots.queryWidth(r));
            block.output(dY, stages.attended(r), weights.out(), dOut, gradients);
            if (owner >= 0 && !slots.buckets.get(r).isEmpty()) {
                block.attend(attention, dOut, dQ, dKeysAndValues(owner), !owns);
            }
            block.queries(stages.x, weights.q(), queryNorm(r), dQ, dNormed, r == 0, gradients);
            reduce(r, queryGradient(r));
        }

        /** Only the owner's gradient has something from earlier microbatches. */
        private boolean accumulates(int r) {
            return r == slots.self && accumulates;
        }

        private AttentionGradients gradients(int r) {
            return new AttentionGradients(slots.shards.get(r));
        }

        private Tensor queryGradient(int r) {
            AttentionGradients own = gradients(slots.self);
            Tensor gradient = builder.weights()
                    .gradient(
                            "layer " + stages.layer + " q and o weights",
                            own.queryCount(),
                            sharing,
                            buffer -> own.queryParts(stages.layer, buffer))
                    .buffer();
            return r == slots.self
                    ? gradient
                    : partial(
                            "q and o",
                            r,
                            most(AttentionGradients::queryCount),
                            gradients(r).queryCount());
        }

        private Tensor kvGradient(int r) {
            AttentionGradients own = gradients(slots.self);
            Tensor gradient = builder.weights()
                    .gradient(
                            "layer " + stages.layer + " k and v weights",
                            own.kvCount(),
                            sharing,
                            buffer -> own.kvParts(stages.layer, buffer))
                    .buffer();
            return r == slots.self
                    ? gradient
                    : partial(
                            "k and v",
                            slots.kvOrdinal(r),
                            most(AttentionGradients::kvCount),
                            gradients(r).kvCount());
        }

        private long most(ToLongFunction<AttentionGradients> count) {
            return slots.shards.stream()
                    .mapToLong(shard -> count.applyAsLong(new AttentionGradients(shard)))
                    .max()
                    .orElse(0);
        }

        private Tensor partial(String what, int ordinal, long most, long count) {
            return builder.partial("partial gradient of " + what + " " + ordinal % SLOTS, most)
                    .rows(0, count);
        }

        /** Adds up what all ranks have for bucket r, at its owner. */
        private void reduce(int r, Tensor gradient) {
            List<Tensor> parts = new ArrayList<>(Collections.nCopies(slots.group.size(), gradient.rows(0, 0)));
            parts.set(r, gradient);
            program.communicate(Lane.GRADS, new ReduceScatter(slots.group, slots.self, parts));
        }

        private Tensor dKeysAndValues(int r) {
            Tensor slot = builder.partial(
                    "gradient of keys and values " + slots.kvOrdinal(r) % SLOTS,
                    slots.allRows() * slots.widestKeysAndValues());
            return TspAttentionSlots.matrix(slot, slots.allRows(), slots.kvWidth(r));
        }

        /** After the last bucket that reads the owner's keys and values, their gradients go to the tokens' owners. */
        void reduceKeysAndValues(int r) {
            boolean last = r + 1 == slots.group.size()
                    || !slots.buckets.get(r + 1).kvOwned().isEmpty();
            if (owner >= 0 && last) {
                program.label(label + r);
                List<Tensor> parts = slots.parts(dKeysAndValues(owner));
                program.communicate(Lane.KV, new ReduceScatter(slots.group, slots.self, parts));
                waiting = owner;
                owner = -1;
            }
        }

        /** From the gradients of keys and values of the rank's own tokens to x and the weights. */
        void finishKeysAndValues() {
            if (waiting < 0) {
                return;
            }
            int r = waiting;
            waiting = -1;
            program.label(label + r + " keys and values");
            Tensor dKv = slots.parts(dKeysAndValues(r)).get(slots.self);
            Tensor roundedKv = builder.dtype() == DType.F32
                    ? dKv
                    : TspAttentionSlots.matrix(rounded, slots.ownRows(), slots.kvWidth(r));
            Tensor gradient = kvGradient(r);
            block.keysAndValues(
                    stages.x,
                    kvWeights(r),
                    keyNorm(r),
                    dKv,
                    roundedKv,
                    dNormed,
                    gradients(r).keysAndValues(gradient, accumulates(r)));
            reduce(r, gradient);
        }

        private @Nullable HeadNorm queryNorm(int r) {
            return builder.headNormBackward(
                    stages.layer, "q_norm", () -> stages.queriesBeforeNorm(r), normSharing, r > 0 || accumulates);
        }

        private @Nullable HeadNorm keyNorm(int r) {
            boolean first = firstKeys;
            firstKeys = false;
            return builder.headNormBackward(
                    stages.layer, "k_norm", () -> stages.keysBeforeNorm(r), normSharing, !first || accumulates);
        }
    }
}
