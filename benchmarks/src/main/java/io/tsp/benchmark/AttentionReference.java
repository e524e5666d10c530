package io.tsp.benchmark;

import io.tsp.op.ComputeOp.Attention;
import io.tsp.tensor.Tensor;
import java.util.Random;

/** Causal softmax(scale Q K^T) V of single queries, key by key; one chunk, as many key heads as query heads. */
final class AttentionReference {
    private static final int SAMPLES = 32;

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

    /**
     * Holds a sample of what the op has left in its output, and in the log-sum-exp if it has one, against the formula.
     *
     * @throws IllegalStateException if it is wrong
     */
    static void requireRight(Attention op, Workbench bench) {
        AttentionReference reference = new AttentionReference(op, bench);
        Precision precision = Precision.of(op.q().dtype());
        float[] out = bench.read(op.out());
        Tensor lseOperand = op.lse();
        float[] lse = lseOperand == null ? new float[0] : bench.read(lseOperand);
        Check outCheck = new Check("attention");
        Check lseCheck = new Check("attention's log-sum-exp");
        int seq = (int) op.q().dim(0);
        Random random = new Random(seq);
        for (int sample = 0; sample < SAMPLES; sample++) {
            int row = sample == 0 ? seq - 1 : random.nextInt(seq);
            int head = random.nextInt(reference.heads);
            Result exact = reference.result(row, head, Precision.EXACT);
            Result plain = reference.result(row, head, precision);
            for (int x = 0; x < reference.headDim; x++) {
                outCheck.compare(out[reference.place(row, head) + x], exact.output[x], plain.output[x]);
            }
            if (lse.length > 0) {
                lseCheck.compare(lse[row * reference.heads + head], exact.lse, plain.lse);
            }
        }
        outCheck.require();
        lseCheck.require();
    }

    /**
     * Of one query in one head.
     *
     * @param output [d]
     */
    private record Result(double[] output, double lse) {}

    private Result result(int row, int head, Precision precision) {
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
        return new Result(output, precision.step(top + precision.step(Math.log(sum))));
    }

    private int place(int row, int head) {
        return (row * heads + head) * headDim;
    }
}
