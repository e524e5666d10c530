package io.tsp.benchmark;

import io.tsp.op.ComputeOp.Attention;

/** Causal softmax(scale Q K^T) V of single queries, key by key; one chunk, as many key heads as query heads. */
final class AttentionReference {
    private final Attention op;
    private final float[] q;
    private final float[] k;
    private final float[] v;
    private final int heads;
    private final int headDim;

    AttentionReference(Attention op, Workbench bench) {
        this.op = op;
        q = bench.read(op.q());
        k = bench.read(op.k());
        v = bench.read(op.v());
        heads = (int) op.q().dim(1);
        headDim = (int) op.q().dim(2);
    }

    /** The output [d] of the query in this row. */
    double[] output(int row, int head, Precision precision) {
        double[] weights = new double[row + 1];
        double top = Double.NEGATIVE_INFINITY;
        for (int key = 0; key <= row; key++) {
            double product = precision.dot(q, place(row, head), k, place(key, head), headDim);
            weights[key] = precision.step(op.scale() * product);
            top = Math.max(top, weights[key]);
        }
        double sum = 0;
        double[] output = new double[headDim];
        for (int key = 0; key <= row; key++) {
            double weight = precision.step(Math.exp(precision.step(weights[key] - top)));
            sum = precision.step(sum + weight);
            for (int x = 0; x < headDim; x++) {
                double product = precision.step(precision.store(weight) * v[place(key, head) + x]);
                output[x] = precision.step(output[x] + product);
            }
        }
        for (int x = 0; x < headDim; x++) {
            output[x] = precision.store(output[x] / sum);
        }
        return output;
    }

    private int place(int row, int head) {
        return (row * heads + head) * headDim;
    }
}
