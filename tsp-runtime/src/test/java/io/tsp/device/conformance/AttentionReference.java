package io.tsp.device.conformance;

import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** O = softmax(scale Q K^T + mask) V, key by key. */
final class AttentionReference {
    private final Attention op;
    private final Precision precision;
    private final double[] q;
    private final double[] k;
    private final double[] v;
    private final double @Nullable [] kvStart;
    private final int heads;
    private final int kvHeads;
    private final int headDim;

    /** [rows, H, d], NaN in rows outside the chunks. */
    final double[] out;
    /** [rows, H]. */
    final double[] lse;

    private AttentionReference(Attention op, Function<Tensor, double[]> values, Precision precision) {
        this.op = op;
        this.precision = precision;
        q = values.apply(op.q());
        k = values.apply(op.k());
        v = values.apply(op.v());
        kvStart = op.kvStart() == null ? null : values.apply(op.kvStart());
        heads = (int) op.q().dim(1);
        kvHeads = (int) op.k().dim(1);
        headDim = (int) op.q().dim(2);
        out = new double[q.length];
        lse = new double[(int) op.q().dim(0) * heads];
        Arrays.fill(out, Double.NaN);
        Arrays.fill(lse, Double.NaN);
    }

    static AttentionReference of(Attention op, Function<Tensor, double[]> values, Precision precision) {
        AttentionReference reference = new AttentionReference(op, values, precision);
        forEachRow(op.qChunks(), op.batch(), reference::attend);
        return reference;
    }

    /** One token of a chunk. */
    @FunctionalInterface
    interface Row {
        /** @param token index in the whole sequence */
        void visit(int sequence, int row, long token);
    }

    static void forEachRow(List<Chunk> chunks, long batch, Row visitor) {
        for (Chunk chunk : chunks) {
            for (int sequence = 0; sequence < batch; sequence++) {
                for (int i = 0; i < chunk.count(); i++) {
                    visitor.visit(sequence, row(chunk, sequence, i), chunk.start() + i);
                }
            }
        }
    }

    private static int row(Chunk chunk, int sequence, long token) {
        return Math.toIntExact(chunk.firstRow() + sequence * chunk.batchRows() + token);
    }

    private void attend(int sequence, int row, long query) {
        int[] keys = visibleKeys(sequence, row, query);
        for (int head = 0; head < heads; head++) {
            attend(keys, head / (heads / kvHeads), row * heads + head);
        }
    }

    /** Rows of K and V. */
    int[] visibleKeys(int sequence, int row, long query) {
        long first = kvStart == null ? 0 : (long) kvStart[row];
        List<Integer> rows = new ArrayList<>();
        for (Chunk chunk : op.kChunks()) {
            for (long key = chunk.start(); key < chunk.end(); key++) {
                boolean inWindow = op.window() == 0 || key > query - op.window();
                if (key <= query && inWindow && key >= first) {
                    rows.add(row(chunk, sequence, key - chunk.start()));
                }
            }
        }
        return rows.stream().mapToInt(Integer::intValue).toArray();
    }

    private void attend(int[] keys, int kvHead, int query) {
        double[] scores = new double[keys.length];
        double top = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < keys.length; j++) {
            double product = precision.dot(q, query * headDim, k, (keys[j] * kvHeads + kvHead) * headDim, headDim);
            scores[j] = precision.step(op.scale() * product);
            top = Math.max(top, scores[j]);
        }
        double sum = 0;
        double[] weighted = new double[headDim];
        for (int j = 0; j < keys.length; j++) {
            double p = precision.step(Math.exp(precision.step(scores[j] - top)));
            sum = precision.step(sum + p);
            double weight = precision.store(p);
            for (int x = 0; x < headDim; x++) {
                double value = v[(keys[j] * kvHeads + kvHead) * headDim + x];
                weighted[x] = precision.step(weighted[x] + precision.step(weight * value));
            }
        }
        for (int x = 0; x < headDim; x++) {
            out[query * headDim + x] = keys.length == 0 ? 0 : precision.store(weighted[x] / sum);
        }
        lse[query] = keys.length == 0 ? Double.NEGATIVE_INFINITY : precision.step(top + precision.step(Math.log(sum)));
    }
}
