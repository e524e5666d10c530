package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.TrainingOp.AttentionBackward;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * P = exp(scale Q K^T + mask - lse), D = rowsum(dO * O), dV = P^T dO, dS = P * (dO V^T - D), dQ = scale dS K and
 * dK = scale dS^T Q, query by query and key by key.
 */
final class AttentionBackwardReference {
    private final Precision precision;
    private final AttentionReference forward;
    private static final double LN_2 = Math.log(2);

    private final float scale;
    private final double[] q;
    private final double[] k;
    private final double[] v;
    private final double[] dOut;
    private final double[] out;
    private final double[] lse;
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final double[] dQ;
    private final double[] dK;
    private final double[] dV;

    private AttentionBackwardReference(
            AttentionBackward op, Function<Tensor, double[]> values, Precision precision, Precision kept) {
        this.precision = precision;
        Attention launch = op.forward();
        scale = launch.scale();
        forward = AttentionReference.of(launch, values, Precision.EXACT);
        out = out(forward, kept);
        lse = lse(forward, kept);
        q = values.apply(launch.q());
        k = values.apply(launch.k());
        v = values.apply(launch.v());
        dOut = values.apply(op.dOut());
        heads = (int) launch.q().dim(1);
        kvHeads = (int) launch.k().dim(1);
        headDim = (int) launch.q().dim(2);
        dQ = undefined(q.length);
        dK = undefined(k.length);
        dV = undefined(v.length);
        AttentionReference.forEachRow(launch.kChunks(), launch.batch(), (sequence, row, token) -> {
            int width = kvHeads * headDim;
            Arrays.fill(dK, row * width, (row + 1) * width, 0);
            Arrays.fill(dV, row * width, (row + 1) * width, 0);
        });
        AttentionReference.forEachRow(launch.qChunks(), launch.batch(), this::add);
    }

    /**
     * dQ, dK and dV; NaN in rows outside the chunks.
     *
     * @param kept in what the forward pass, exact else, has left its output
     */
    static List<double[]> of(
            AttentionBackward op, Function<Tensor, double[]> values, Precision precision, Precision kept) {
        AttentionBackwardReference reference = new AttentionBackwardReference(op, values, precision, kept);
        for (int i = 0; i < reference.dK.length; i++) {
            reference.dK[i] = precision.step(reference.scale * reference.dK[i]);
        }
        if (op.accumulate()) {
            addTo(values.apply(op.dK()), reference.dK, precision);
            addTo(values.apply(op.dV()), reference.dV, precision);
        }
        return List.of(reference.dQ, reference.dK, reference.dV);
    }

    /** What the forward pass leaves in the tensor of its output. */
    static double[] out(AttentionReference forward, Precision kept) {
        return Arrays.stream(forward.out).map(kept::store).toArray();
    }

    /** What it leaves of the log-sum-exp, which is fp32 beside any dtype. */
    static double[] lse(AttentionReference forward, Precision kept) {
        return Arrays.stream(forward.lse).map(kept::step).toArray();
    }

    private static double[] undefined(int count) {
        double[] values = new double[count];
        Arrays.fill(values, Double.NaN);
        return values;
    }

    private static void addTo(double[] before, double[] gradient, Precision precision) {
        for (int i = 0; i < gradient.length; i++) {
            gradient[i] = precision.step(before[i] + gradient[i]);
        }
    }

    private void add(int sequence, int row, long token) {
        int[] keys = forward.visibleKeys(sequence, row, token);
        for (int head = 0; head < heads; head++) {
            add(keys, head / (heads / kvHeads), row * heads + head);
        }
    }

    private void add(int[] keys, int kvHead, int query) {
        int from = query * headDim;
        double mean = mean(from);
        double[] gradient = new double[headDim];
        for (int key : keys) {
            int place = (key * kvHeads + kvHead) * headDim;
            // In powers of two, as kernels have it: both factors are rounded before they meet.
            double score = precision.step(scale / LN_2) * precision.dot(q, from, k, place, headDim);
            double p = precision.step(Math.pow(2, precision.step(score - precision.step(lse[query] / LN_2))));
            double dP = precision.dot(dOut, from, v, place, headDim);
            double dS = precision.store(precision.step(p * precision.step(dP - mean)));
            double weight = precision.store(p);
            for (int x = 0; x < headDim; x++) {
                dV[place + x] = precision.step(dV[place + x] + precision.step(weight * dOut[from + x]));
                dK[place + x] = precision.step(dK[place + x] + precision.step(dS * q[from + x]));
                gradient[x] = precision.step(gradient[x] + precision.step(dS * k[place + x]));
            }
        }
        for (int x = 0; x < headDim; x++) {
            dQ[from + x] = precision.store(precision.step(scale * gradient[x]));
        }
    }

    /** D. From the last to the first, so that it does not, by luck, round as dP does where a query sees one key only. */
    private double mean(int from) {
        double sum = 0;
        for (int x = headDim - 1; x >= 0; x--) {
            sum = precision.step(sum + precision.step(dOut[from + x] * out[from + x]));
        }
        return sum;
    }
}
