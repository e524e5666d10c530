package io.tsp.scheme;

import io.tsp.model.AttentionGradients;
import io.tsp.model.AttentionShard;
import io.tsp.model.BlockBackward;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.program.Lane;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** The gradients of {@link KvGatherAttention}: those of keys and values are reduce-scattered to the tokens' owners. */
final class KvGatherBackward implements SequenceAttention.Backward {
    private final KvGatherAttention forward;
    private final RankBuilder builder;
    private final BlockBackward block;
    private final RankWeights.Sharing headNorms;
    private final Tensor dY;
    private final Tensor dNormed;
    private final Tensor dAttended;
    private final Tensor dQueries;
    private final Tensor dKeysAndValues;
    private final List<Tensor> parts = new ArrayList<>();
    private final Tensor rounded;

    KvGatherBackward(KvGatherAttention forward, Tensor dY, Tensor dNormed, RankWeights.Sharing headNorms) {
        this.forward = forward;
        this.builder = forward.builder;
        this.block = builder.blockBackward();
        this.headNorms = headNorms;
        this.dY = dY;
        this.dNormed = dNormed;
        Tensor queries = forward.queries;
        dAttended = builder.activation("gradient of attended", builder.dtype(), queries.dim(0), queries.dim(1));
        dQueries = builder.activation("gradient of queries", builder.dtype(), queries.dim(0), queries.dim(1));
        Tensor all = forward.keysAndValues;
        dKeysAndValues = builder.program()
                .allocate(
                        "gradient of keys and values",
                        forward.group.size() > 1 ? MemoryClass.COMMUNICATION : MemoryClass.TRANSIENT,
                        DType.F32,
                        all.dim(0),
                        all.dim(1));
        long firstRow = 0;
        for (Tensor part : forward.parts) {
            parts.add(dKeysAndValues.rows(firstRow, part.dim(0)));
            firstRow += part.dim(0);
        }
        rounded = builder.dtype() == DType.F32
                ? parts.get(forward.self)
                : builder.activation(
                        "rounded gradient of keys and values", builder.dtype(), queries.dim(0), all.dim(1));
    }

    @Override
    public void run(
            int layer,
            Tensor x,
            AttentionShard.Weights weights,
            AttentionGradients.Queries queries,
            AttentionGradients.KeysAndValues keysAndValues) {
        Attention attention = forward.restore(layer, x, weights);
        block.output(dY, forward.attended(layer), weights.out(), dAttended, queries);
        block.attend(attention, dAttended, dQueries, dKeysAndValues, false);
        builder.program().communicate(Lane.KV, new ReduceScatter(forward.group, forward.self, parts));
        boolean accumulate = builder.accumulates();
        block.queries(
                x,
                weights.q(),
                builder.headNormBackward(
                        layer, "q_norm", () -> forward.queriesBeforeNorm(layer), headNorms, accumulate),
                dQueries,
                dNormed,
                true,
                queries);
        block.keysAndValues(
                x,
                weights.kv(),
                builder.headNormBackward(layer, "k_norm", () -> forward.keysBeforeNorm(layer), headNorms, accumulate),
                parts.get(forward.self),
                rounded,
                dNormed,
                keysAndValues);
    }
}
