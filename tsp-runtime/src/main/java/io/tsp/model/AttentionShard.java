package io.tsp.model;

import io.tsp.mesh.Range;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The attention weights of some heads, packed into one buffer that travels in one message: what belongs to the
 * queries, [WQ | WO | q's bias], then to keys and values, [WK | WV | their biases], each part on a 128-byte boundary.
 *
 * @param heads query heads of the shard
 * @param kvHeads key/value heads whose projections are in the shard
 */
public record AttentionShard(ModelConfig config, DType dtype, Range heads, Range kvHeads) {
    private static final long ALIGNMENT = 128;

    /**
     * The matrices of a shard. n query and m key/value heads of d elements; any may be empty.
     *
     * @param q [n d, h]
     * @param kv [2 m d, h]: keys of all heads, then values of all heads
     * @param out [h, n d]
     * @param qBias [n d], if the model has biases
     * @param kvBias [2 m d], if the model has biases
     */
    public record Weights(
            Tensor q,
            Tensor kv,
            Tensor out,
            @Nullable Tensor qBias,
            @Nullable Tensor kvBias) {}

    private long qRows() {
        return heads.count() * config.headDim();
    }

    private long kvRows() {
        return 2 * kvHeads.count() * config.headDim();
    }

    /** Elements of the packed buffer. */
    public long count() {
        long end = 0;
        for (long count : counts()) {
            end = count == 0 ? end : align(end) + count;
        }
        return end;
    }

    /** Of each part, in the order of the buffer. */
    private long[] counts() {
        long qBias = config.qkvBias() ? qRows() : 0;
        long kvBias = config.qkvBias() ? kvRows() : 0;
        return new long[] {
            qRows() * config.hidden(), config.hidden() * qRows(), qBias, kvRows() * config.hidden(), kvBias
        };
    }

    /** The matrices inside a packed buffer of at least {@link #count} elements. */
    public Weights view(Tensor packed) {
        Cursor cursor = new Cursor(packed);
        Tensor q = cursor.next(qRows(), config.hidden());
        Tensor out = cursor.next(config.hidden(), qRows());
        Tensor qBias = config.qkvBias() ? cursor.next(qRows()) : null;
        Tensor kv = cursor.next(kvRows(), config.hidden());
        Tensor kvBias = config.qkvBias() ? cursor.next(kvRows()) : null;
        return new Weights(q, kv, out, qBias, kvBias);
    }

    /** What fills a layer's packed buffer. */
    public List<Parameter> parameters(int layer, Tensor packed) {
        Weights weights = view(packed);
        Range all = new Range(0, config.hidden());
        Range q = rows(heads);
        Range kv = rows(kvHeads);
        Tensor keys = weights.kv().rows(0, kv.count());
        Tensor values = weights.kv().rows(kv.count(), kv.count());
        List<Parameter> parameters = new ArrayList<>();
        parameters.add(block(weights.q(), WeightNames.attention(layer, "q_proj"), q, all));
        parameters.add(block(keys, WeightNames.attention(layer, "k_proj"), kv, all));
        parameters.add(block(values, WeightNames.attention(layer, "v_proj"), kv, all));
        parameters.add(block(weights.out(), WeightNames.attention(layer, "o_proj"), all, q));
        if (weights.qBias() != null && weights.kvBias() != null) {
            Range column = new Range(0, 1);
            Tensor kBias = weights.kvBias().rows(0, kv.count());
            Tensor vBias = weights.kvBias().rows(kv.count(), kv.count());
            parameters.add(block(weights.qBias(), WeightNames.bias(layer, "q_proj"), q, column));
            parameters.add(block(kBias, WeightNames.bias(layer, "k_proj"), kv, column));
            parameters.add(block(vBias, WeightNames.bias(layer, "v_proj"), kv, column));
        }
        return parameters;
    }

    private Range rows(Range someHeads) {
        return new Range(someHeads.from() * config.headDim(), someHeads.to() * config.headDim());
    }

    private static Parameter block(Tensor tensor, String name, Range rows, Range columns) {
        return new Parameter(tensor, new Parameter.Block(name, rows, columns));
    }

    private long align(long count) {
        long elements = ALIGNMENT / dtype.bytes();
        return Math.ceilDiv(count, elements) * elements;
    }

    /** Cuts a packed buffer into aligned parts. */
    private final class Cursor {
        private final Tensor packed;
        private long at;

        Cursor(Tensor packed) {
            this.packed = packed;
        }

        Tensor next(long... dims) {
            long count = Shape.of(dims).count();
            long from = count == 0 ? at : align(at);
            at = from + count;
            return packed.rows(from, count).reshape(dims);
        }
    }
}
