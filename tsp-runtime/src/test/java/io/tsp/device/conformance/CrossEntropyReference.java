package io.tsp.device.conformance;

import java.util.Arrays;

/**
 * What is known of each row after some shards of its vocabulary: {maximum, sum of exp(x - maximum), label's logit}. A
 * maximum of -inf, of nothing or of nothing but -inf, has the sum 0.
 */
final class CrossEntropyReference {
    private final Precision precision;
    private final double[] maximum;
    private final double[] sum;
    private final double[] labelLogit;

    private CrossEntropyReference(int rows, Precision precision) {
        this.precision = precision;
        maximum = new double[rows];
        sum = new double[rows];
        labelLogit = new double[rows];
    }

    static CrossEntropyReference empty(int rows, Precision precision) {
        CrossEntropyReference state = new CrossEntropyReference(rows, precision);
        Arrays.fill(state.maximum, Double.NEGATIVE_INFINITY);
        return state;
    }

    /** From [T, 3]. */
    static CrossEntropyReference of(double[] stored, Precision precision) {
        CrossEntropyReference state = new CrossEntropyReference(stored.length / 3, precision);
        for (int t = 0; t < state.sum.length; t++) {
            state.maximum[t] = stored[3 * t];
            state.sum[t] = stored[3 * t + 1];
            state.labelLogit[t] = stored[3 * t + 2];
        }
        return state;
    }

    /** As [T, 3]. */
    double[] stored() {
        double[] stored = new double[3 * sum.length];
        for (int t = 0; t < sum.length; t++) {
            stored[3 * t] = maximum[t];
            stored[3 * t + 1] = sum[t];
            stored[3 * t + 2] = labelLogit[t];
        }
        return stored;
    }

    double[] maximum() {
        return maximum;
    }

    double[] sum() {
        return sum;
    }

    double[] labelLogit() {
        return labelLogit;
    }

    /** Takes in the logits [T, V] of one shard. */
    void update(double[] logits, double[] labels, int vocab, long vocabStart) {
        for (int t = 0; t < sum.length; t++) {
            double top = maximum[t];
            for (int i = 0; i < vocab; i++) {
                top = Math.max(top, logits[t * vocab + i]);
            }
            double added = scaled(sum[t], maximum[t], top);
            for (int i = 0; i < vocab; i++) {
                added = precision.step(added + scaled(1, logits[t * vocab + i], top));
            }
            long label = (long) labels[t] - vocabStart;
            if (labels[t] >= 0 && label >= 0 && label < vocab) {
                labelLogit[t] = logits[t * vocab + (int) label];
            }
            maximum[t] = top;
            sum[t] = added;
        }
    }

    /** Takes in what another rank knows of the same rows. */
    void merge(CrossEntropyReference other) {
        for (int t = 0; t < sum.length; t++) {
            double top = Math.max(maximum[t], other.maximum[t]);
            double own = scaled(sum[t], maximum[t], top);
            sum[t] = precision.step(own + scaled(other.sum[t], other.maximum[t], top));
            maximum[t] = top;
            labelLogit[t] = precision.step(labelLogit[t] + other.labelLogit[t]);
        }
    }

    private double scaled(double value, double from, double top) {
        if (from == Double.NEGATIVE_INFINITY) {
            return 0;
        }
        return precision.step(value * precision.step(Math.exp(precision.step(from - top))));
    }

    /** maximum + log(sum) - label's logit, 0 where there is no label. */
    double[] losses(double[] labels) {
        double[] losses = new double[sum.length];
        for (int t = 0; t < sum.length; t++) {
            if (labels[t] >= 0) {
                double logSumExp = precision.step(maximum[t] + precision.step(Math.log(sum[t])));
                losses[t] = precision.step(logSumExp - labelLogit[t]);
            }
        }
        return losses;
    }
}
