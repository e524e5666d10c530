package io.tsp.device.conformance;

import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.mesh.Zigzag;
import io.tsp.tensor.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One attention problem as a rank of a zigzag mesh sees it.
 *
 * @param ratio query heads of each key/value head
 * @param deviation of queries; scores grow with it
 * @param documents lengths of packed documents, the last one open; null for no kvStart
 */
record AttentionShape(
        DType dtype,
        int degree,
        int rank,
        int seq,
        int batch,
        int kvHeads,
        int ratio,
        int headDim,
        int window,
        double deviation,
        @Nullable List<Integer> documents,
        Layout layout) {

    static AttentionShape of(DType dtype, int seq) {
        return new AttentionShape(dtype, 1, 0, seq, 1, 1, 1, 16, 0, 1, null, Layout.DENSE);
    }

    AttentionShape rank(int index, int of) {
        return new AttentionShape(
                dtype, of, index, seq, batch, kvHeads, ratio, headDim, window, deviation, documents, layout);
    }

    AttentionShape heads(int kv, int queriesEach, int size) {
        return new AttentionShape(
                dtype, degree, rank, seq, batch, kv, queriesEach, size, window, deviation, documents, layout);
    }

    AttentionShape batch(int sequences) {
        return new AttentionShape(
                dtype, degree, rank, seq, sequences, kvHeads, ratio, headDim, window, deviation, documents, layout);
    }

    AttentionShape window(int keys) {
        return new AttentionShape(
                dtype, degree, rank, seq, batch, kvHeads, ratio, headDim, keys, deviation, documents, layout);
    }

    AttentionShape deviation(double ofQueries) {
        return new AttentionShape(
                dtype, degree, rank, seq, batch, kvHeads, ratio, headDim, window, ofQueries, documents, layout);
    }

    AttentionShape documents(Integer... lengths) {
        return new AttentionShape(
                dtype, degree, rank, seq, batch, kvHeads, ratio, headDim, window, deviation, List.of(lengths), layout);
    }

    AttentionShape layout(Layout other) {
        return new AttentionShape(
                dtype, degree, rank, seq, batch, kvHeads, ratio, headDim, window, deviation, documents, other);
    }

    TokenPlacement tokens(int of) {
        return new TokenPlacement(new Range(0, batch), Zigzag.chunks(seq, degree, of));
    }

    @Override
    public String toString() {
        String mask = (window == 0 ? "" : ", window " + window) + (documents == null ? "" : ", documents " + documents);
        return dtype + " rank " + rank + " of " + degree + ", B=" + batch + " S=" + seq + ", heads " + kvHeads * ratio
                + "/" + kvHeads + " of " + headDim + mask + ", deviation " + deviation + ", " + layout;
    }
}
