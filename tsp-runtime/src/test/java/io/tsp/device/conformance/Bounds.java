package io.tsp.device.conformance;

import java.util.BitSet;
import java.util.Locale;
import java.util.stream.DoubleStream;

/**
 * What each element of an output may be, in row-major order: from low to high, or the very bits that were there before.
 * Where low and high are the same bits, so must the element be, but for the payload of a NaN.
 */
record Bounds(double[] low, double[] high, BitSet untouched) {

    static Bounds exactly(double[] values) {
        return new Bounds(values, values, new BitSet());
    }

    static Bounds between(double[] low, double[] high) {
        return new Bounds(low, high, new BitSet());
    }

    /**
     * FlashAttention's rule (kernels.md, section D): at most twice the largest error that the same mathematics makes in
     * low precision, plus twice the rounding of a number to that precision's grid 0.3 further out. Infinities are exact.
     *
     * @param precision what the output is stored in
     */
    static Bounds like(double[] exact, double[] lowPrecision, Precision precision) {
        double error = 0;
        double rounding = 0;
        for (int i = 0; i < exact.length; i++) {
            if (Double.isFinite(exact[i])) {
                error = Math.max(error, Math.abs(lowPrecision[i] - exact[i]));
                double stored = precision.store(exact[i]);
                double backAgain = precision.store(precision.store(stored + 0.3) - 0.3);
                rounding = Math.max(rounding, Math.abs(backAgain - stored));
            }
        }
        double tolerance = 2 * error + 2 * rounding;
        double[] low = new double[exact.length];
        double[] high = new double[exact.length];
        for (int i = 0; i < exact.length; i++) {
            low[i] = exact[i] - tolerance;
            high[i] = exact[i] + tolerance;
        }
        return between(low, high);
    }

    /** Further out on both sides. */
    Bounds widened(double by) {
        return new Bounds(
                DoubleStream.of(low).map(value -> value - by).toArray(),
                DoubleStream.of(high).map(value -> value + by).toArray(),
                untouched);
    }

    /** Of the sum of all elements. */
    Bounds total() {
        return between(
                new double[] {DoubleStream.of(low).sum()},
                new double[] {DoubleStream.of(high).sum()});
    }

    /** The same, but that some elements keep what they held. */
    Bounds keeping(BitSet elements) {
        return new Bounds(low, high, elements);
    }

    boolean allow(int element, double value) {
        if (Double.compare(low[element], high[element]) == 0) {
            return Double.compare(value, low[element]) == 0;
        }
        return value >= low[element] && value <= high[element];
    }

    String describe(int element) {
        if (Double.compare(low[element], high[element]) == 0) {
            return "exactly " + low[element];
        }
        double middle = low[element] + (high[element] - low[element]) / 2;
        return String.format(Locale.ROOT, "%.9g within %.3g", middle, high[element] - middle);
    }
}
