package io.tsp.device.conformance;

import java.util.Arrays;

/**
 * sum = x + delta, out = sum / sqrt(mean(sum^2) + epsilon) * weight, where the rounding of each value is specified and only
 * the factor of a row is not known to the last bit.
 *
 * @param n size of the last dimension
 * @param keepsSum whether sum is stored, and so rounded, before the norm reads it
 */
record RmsNormReference(
        double[] x, double[] delta, double[] weight, int n, boolean keepsSum, float epsilon, Precision dtype) {
    /** The square root, the division and the addition of epsilon, each rounded once by fp32. */
    private static final double FEW_ROUNDINGS = 4 * 0x1p-24;

    double[] sum() {
        double[] sum = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            double exact = dtype.step(x[i] + delta[i]);
            sum[i] = keepsSum ? dtype.store(exact) : exact;
        }
        return sum;
    }

    /** Out itself, if the dtype is EXACT. */
    double[] exact() {
        double[] sum = sum();
        double[] out = new double[sum.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = scaled(sum[i], factor(sum, i / n * n, Precision.EXACT), i % n);
        }
        return out;
    }

    Bounds out() {
        double[] sum = sum();
        double[] low = new double[sum.length];
        double[] high = new double[sum.length];
        for (int row = 0; row < sum.length; row += n) {
            double exact = factor(sum, row, Precision.EXACT);
            double error = 2 * Math.abs(factor(sum, row, Precision.F32) - exact) + FEW_ROUNDINGS * exact;
            for (int i = row; i < row + n; i++) {
                double[] ends = {scaled(sum[i], exact - error, i - row), scaled(sum[i], exact + error, i - row)};
                Arrays.sort(ends);
                low[i] = ends[0];
                high[i] = ends[1];
            }
        }
        return Bounds.between(low, high);
    }

    /** Normalised, rounded, weighted, rounded: the order of Hugging Face. */
    private double scaled(double value, double factor, int column) {
        double normalised = dtype.store(dtype.step(value * factor));
        return dtype.store(dtype.step(normalised * weight[column]));
    }

    private double factor(double[] sum, int row, Precision precision) {
        double mean = precision.step(precision.dot(sum, row, sum, row, n) / n);
        return precision.step(1 / precision.step(Math.sqrt(precision.step(mean + epsilon))));
    }
}
