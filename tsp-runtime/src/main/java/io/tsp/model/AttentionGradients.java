package io.tsp.model;

import io.tsp.mesh.Range;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of an {@link AttentionShard}, f32, in two buffers that travel apart: what belongs to the queries, whose
 * bucket is done first, and what belongs to keys and values, which several buckets may read.
 */
public record AttentionGradients(AttentionShard shard) {

    /**
     * Gradients of WQ [n d, h], WO [h, n d] and, if the model has one, q's bias [n d].
     *
     * @param accumulate whether the matrices' gradients are added to
     * @param accumulateBias whether the bias' is
     */
    public record Queries(Tensor q, Tensor out, @Nullable Tensor bias, boolean accumulate, boolean accumulateBias) {}

    /** Gradients of WK over WV [2 m d, h] and, if the model has them, their biases [2 m d]; otherwise as above. */
    public record KeysAndValues(Tensor kv, @Nullable Tensor bias, boolean accumulate, boolean accumulateBias) {}

    private long hidden() {
        return shard.config().hidden();
    }

    private boolean biased() {
        return shard.config().qkvBias();
    }

    private long queryRows() {
        return shard.heads().count() * shard.config().headDim();
    }

    private long kvRows() {
        return 2 * shard.kvHeads().count() * shard.config().headDim();
    }

    /** Elements of the queries' buffer. */
    public long queryCount() {
        return queryRows() * (2 * hidden() + (biased() ? 1 : 0));
    }

    /** Elements of the buffer of keys and values. */
    public long kvCount() {
        return kvRows() * (hidden() + (biased() ? 1 : 0));
    }

    /** The gradients inside a buffer of {@link #queryCount} elements. */
    public Queries queries(Tensor buffer, boolean accumulate) {
        long rows = queryRows();
        long matrix = rows * hidden();
        return new Queries(
                buffer.rows(0, matrix).reshape(rows, hidden()),
                buffer.rows(matrix, matrix).reshape(hidden(), rows),
                biased() ? buffer.rows(2 * matrix, rows) : null,
                accumulate,
                accumulate);
    }

    /** The gradients inside a buffer of {@link #kvCount} elements. */
    public KeysAndValues keysAndValues(Tensor buffer, boolean accumulate) {
        long matrix = kvRows() * hidden();
        return new KeysAndValues(
                buffer.rows(0, matrix).reshape(kvRows(), hidden()),
                biased() ? buffer.rows(matrix, kvRows()) : null,
                accumulate,
                accumulate);
    }

    /** Which weights of a layer the parts of the queries' buffer belong to. */
    public List<Parameter> queryParts(int layer, Tensor buffer) {
        Queries gradients = queries(buffer, false);
        Range rows = rows(shard.heads());
        Range all = new Range(0, hidden());
        List<Parameter> parts = new ArrayList<>();
        parts.add(block(gradients.q(), WeightNames.attention(layer, "q_proj"), rows, all));
        parts.add(block(gradients.out(), WeightNames.attention(layer, "o_proj"), all, rows));
        if (gradients.bias() != null) {
            parts.add(block(gradients.bias(), WeightNames.bias(layer, "q_proj"), rows, new Range(0, 1)));
        }
        return parts;
    }

    /** Which weights of a layer the parts of the buffer of keys and values belong to. */
    public List<Parameter> kvParts(int layer, Tensor buffer) {
        KeysAndValues gradients = keysAndValues(buffer, false);
        Range rows = rows(shard.kvHeads());
        List<Parameter> parts = new ArrayList<>(halves(
                gradients.kv(),
                WeightNames.attention(layer, "k_proj"),
                WeightNames.attention(layer, "v_proj"),
                rows,
                new Range(0, hidden())));
        if (gradients.bias() != null) {
            parts.addAll(halves(
                    gradients.bias(),
                    WeightNames.bias(layer, "k_proj"),
                    WeightNames.bias(layer, "v_proj"),
                    rows,
                    new Range(0, 1)));
        }
        return parts;
    }

    private static List<Parameter> halves(Tensor both, String keys, String values, Range rows, Range columns) {
        return List.of(
                block(both.rows(0, rows.count()), keys, rows, columns),
                block(both.rows(rows.count(), rows.count()), values, rows, columns));
    }

    private Range rows(Range heads) {
        return new Range(
                heads.from() * shard.config().headDim(),
                heads.to() * shard.config().headDim());
    }

    private static Parameter block(Tensor tensor, String name, Range rows, Range columns) {
        return new Parameter(tensor, new Parameter.Block(name, rows, columns));
    }
}
