package io.tsp.benchmark;

import io.tsp.op.TrainingOp.AttentionBackward;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;

/**
 * With P = exp(scale Q K^T - lse), D = rowsum(dO * O) and dS = P * (dO V^T - D): dQ = scale dS K of single queries,
 * dK = scale dS^T Q and dV = P^T dO of single keys. Causal, one chunk, as many key heads as query heads; O and lse are
 * those that the forward kernel left.
 */
final class AttentionBackwardReference {
    private static final int SAMPLES = 12;

    private final AttentionBackward op;
    private final float[] q;
    private final float[] k;
    private final float[] v;
    private final float[] out;
    private final float[] lse;
    private final float[] dOut;
    private final int seq;
    private final int heads;
    private final int headDim;

    private AttentionBackwardReference(AttentionBackward op, Workbench bench) {
        this.op = op;
        Tensor operand = op.forward().q();
        q = bench.read(operand);
        k = bench.read(op.forward().k());
        v = bench.read(op.forward().v());
        out = bench.read(op.forward().out());
        lse = bench.read(Objects.requireNonNull(op.forward().lse()));
        dOut = bench.read(op.dOut());
        seq = (int) operand.dim(0);
        heads = (int) operand.dim(1);
        headDim = (int) operand.dim(2);
    }

    /**
     * Holds samples of all three gradients against the formula: of keys anywhere, and of queries but the first quarter,
     * as those of queries that see few keys all but cancel.
     *
     * @throws IllegalStateException if one is wrong
     */
    static void requireRight(AttentionBackward op, Workbench bench) {
        AttentionBackwardReference reference = new AttentionBackwardReference(op, bench);
        reference.requireRight(bench.read(op.dQ()), bench.read(op.dK()), bench.read(op.dV()));
    }

    private void requireRight(float[] dQ, float[] dK, float[] dV) {
        Check dQCheck = new Check("attention-backward's dQ");
        Check dKCheck = new Check("attention-backward's dK");
        Check dVCheck = new Check("attention-backward's dV");
        Precision precision = Precision.of(op.dQ().dtype());
        Random random = new Random(seq);
        for (int sample = 0; sample < SAMPLES; sample++) {
            int query = sample == 0 ? seq - 1 : random.nextInt(seq / 4, seq);
            int key = sample == 0 ? seq - 1 : random.nextInt(seq);
            int head = random.nextInt(heads);
            compare(
                    dQCheck,
                    dQ,
                    place(query, head),
                    ofQuery(query, head, Precision.EXACT),
                    ofQuery(query, head, precision));
            OfKey exact = ofKey(key, head, Precision.EXACT);
            OfKey plain = ofKey(key, head, precision);
            compare(dKCheck, dK, place(key, head), exact.dK, plain.dK);
            compare(dVCheck, dV, place(key, head), exact.dV, plain.dV);
        }
        dQCheck.require();
        dKCheck.require();
        dVCheck.require();
    }

    /** Relative to the row's length: gradients of early keys are much larger and would hide errors of all others. */
    private static void compare(Check check, float[] result, int from, double[] exact, double[] plain) {
        double length = Math.sqrt(Arrays.stream(exact).map(x -> x * x).sum());
        for (int x = 0; x < exact.length; x++) {
            check.compare(result[from + x] / length, exact[x] / length, plain[x] / length);
        }
    }

    /** What one query and one key that it sees add to gradients is these times what stands on the other side. */
    private record Pair(double p, double dS) {}

    private Pair pair(int query, int key, int head, Precision precision) {
        int row = place(query, head);
        int column = place(key, head);
        double score = precision.step(op.forward().scale() * precision.dot(q, row, k, column, headDim));
        double p = precision.step(Math.exp(precision.step(score - lse[query * heads + head])));
        double dP = precision.dot(dOut, row, v, column, headDim);
        double mean = precision.dot(dOut, row, out, row, headDim);
        double dS = precision.step(p * precision.step(dP - mean));
        return new Pair(precision.store(p), precision.store(dS));
    }

    private double[] ofQuery(int query, int head, Precision precision) {
        double[] dQ = new double[headDim];
        for (int key = 0; key <= query; key++) {
            add(dQ, pair(query, key, head, precision).dS, k, place(key, head), precision);
        }
        scale(dQ, precision);
        for (int x = 0; x < headDim; x++) {
            dQ[x] = precision.store(dQ[x]);
        }
        return dQ;
    }

    /** [d] each. */
    private record OfKey(double[] dK, double[] dV) {}

    private OfKey ofKey(int key, int head, Precision precision) {
        OfKey gradients = new OfKey(new double[headDim], new double[headDim]);
        for (int query = key; query < seq; query++) {
            Pair pair = pair(query, key, head, precision);
            add(gradients.dK, pair.dS, q, place(query, head), precision);
            add(gradients.dV, pair.p, dOut, place(query, head), precision);
        }
        scale(gradients.dK, precision);
        return gradients;
    }

    private void add(double[] sums, double factor, float[] values, int from, Precision precision) {
        for (int x = 0; x < headDim; x++) {
            sums[x] = precision.step(sums[x] + precision.step(factor * values[from + x]));
        }
    }

    private void scale(double[] sums, Precision precision) {
        for (int x = 0; x < headDim; x++) {
            sums[x] = precision.step(op.forward().scale() * sums[x]);
        }
    }

    private int place(int row, int head) {
        return (row * heads + head) * headDim;
    }
}
