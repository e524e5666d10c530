package io.tsp.scheme.gathered;

import io.tsp.mesh.Range;
import io.tsp.model.AttentionGradients;
import io.tsp.model.AttentionShard;
import io.tsp.model.BlockBackward;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.TrainingOp.Sum;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.scheme.SequenceAttention;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The gradients of {@link UlyssesAttention}: every exchange once more in the other direction. A key/value head that went
 * to several ranks gets the sum of what they return.
 */
final class UlyssesBackward implements SequenceAttention.Backward {
    private final UlyssesAttention forward;
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final BlockBackward block;
    private final Sharing headNorms;
    private final Tensor dY;
    private final Tensor dNormed;
    private final Tensor dMerged;
    private final List<Tensor> ownMessages;
    private final Tensor dAttended;
    private final Tensor dQueries;
    private final Tensor dKeysAndValues;
    private final Tensor dOwnQueries;
    private final Tensor dOwnKeysAndValues;
    private final List<Tensor> kvMessages;
    private final Tensor rounded;

    UlyssesBackward(UlyssesAttention forward, Tensor dY, Tensor dNormed, Sharing headNorms) {
        this.forward = forward;
        this.builder = forward.builder;
        this.program = builder.program();
        this.block = builder.blockBackward();
        this.headNorms = headNorms;
        this.dY = dY;
        this.dNormed = dNormed;
        long own = forward.ownQueries.dim(0);
        long all = forward.queries.dim(0);
        long heads = forward.ownQueries.dim(1);
        long kv = forward.ownKeysAndValues.dim(1);
        dMerged = builder.activation("gradient of merged heads", builder.dtype(), own, heads);
        ownMessages = UlyssesAttention.messages(
                builder.arrival("gradients of own tokens", own * heads).reshape(own, heads), forward.queryWidths());
        dAttended = builder.arrival("gradient of attended", all * forward.queries.dim(1))
                .reshape(all, forward.queries.dim(1));
        dQueries = builder.activation("gradient of queries", builder.dtype(), all, forward.queries.dim(1));
        dKeysAndValues =
                builder.activation("gradient of keys and values", DType.F32, all, forward.keysAndValues.dim(1));
        dOwnQueries = builder.activation("gradient of own queries", builder.dtype(), own, heads);
        dOwnKeysAndValues = builder.activation("gradient of own keys and values", DType.F32, own, kv);
        long kvMessage = UlyssesAttention.sum(forward.kvWidths());
        kvMessages = UlyssesAttention.messages(
                builder.arrival("gradients of own keys and values", DType.F32, own * kvMessage)
                        .reshape(own, kvMessage),
                forward.kvWidths());
        rounded = builder.dtype() == DType.F32
                ? dOwnKeysAndValues
                : builder.activation("rounded gradient of own keys and values", builder.dtype(), own, kv);
    }

    @Override
    public void run(
            int layer,
            Tensor x,
            AttentionShard.Weights weights,
            AttentionGradients.Queries queries,
            AttentionGradients.KeysAndValues keysAndValues) {
        Attention attention = forward.restore(layer, x, weights);
        block.output(dY, forward.merged, weights.out(), dMerged, queries);
        for (int i = 0; i < forward.buckets.size(); i++) {
            program.compute(new Copy(forward.queryColumns(dMerged, i), ownMessages.get(i)));
        }
        forward.exchange(ownMessages, UlyssesAttention.rowsOf(dAttended, forward.placements));
        block.attend(attention, dAttended, dQueries, dKeysAndValues, false);
        returnQueries();
        returnKeysAndValues();
        boolean accumulate = builder.accumulates();
        block.queries(
                x,
                weights.q(),
                builder.headNormBackward(
                        layer, "q_norm", () -> forward.queriesBeforeNorm(layer), headNorms, accumulate),
                dOwnQueries,
                dNormed,
                true,
                queries);
        block.keysAndValues(
                x,
                weights.kv(),
                builder.headNormBackward(layer, "k_norm", () -> forward.keysBeforeNorm(layer), headNorms, accumulate),
                dOwnKeysAndValues,
                rounded,
                dNormed,
                keysAndValues);
    }

    private void returnQueries() {
        forward.exchange(UlyssesAttention.rowsOf(dQueries, forward.placements), ownMessages);
        for (int i = 0; i < forward.buckets.size(); i++) {
            program.compute(new Copy(ownMessages.get(i), forward.queryColumns(dOwnQueries, i)));
        }
    }

    private void returnKeysAndValues() {
        forward.exchange(UlyssesAttention.rowsOf(dKeysAndValues, forward.placements), kvMessages);
        for (int i = 0; i < forward.buckets.size(); i++) {
            Range kv = forward.buckets.get(i).kvUsed();
            if (forward.buckets.subList(0, i).stream()
                    .anyMatch(earlier -> earlier.kvUsed().equals(kv))) {
                continue;
            }
            List<Tensor> sharing = new ArrayList<>();
            for (int j = i; j < forward.buckets.size(); j++) {
                if (forward.buckets.get(j).kvUsed().equals(kv)) {
                    sharing.add(kvMessages.get(j));
                }
            }
            if (sharing.size() > 1) {
                program.compute(new Sum(sharing, kvMessages.get(i)));
            }
            forward.copyKeysAndValues(i, dOwnKeysAndValues, kvMessages.get(i), true);
        }
    }
}
