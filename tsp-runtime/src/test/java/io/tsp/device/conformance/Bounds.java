package io.tsp.device.conformance;

import java.util.BitSet;
import java.util.Locale;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

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

    /** As {@link #within}, for the error of one low-precision result. */
    static Bounds like(double[] exact, double[] lowPrecision, Precision precision) {
        return within(exact, error(exact, lowPrecision), precision);
    }

    /** The largest difference of finite elements. */
    static double error(double[] exact, double[] lowPrecision) {
        return IntStream.range(0, exact.length)
                .filter(i -> Double.isFinite(exact[i]))
                .mapToDouble(i -> Math.abs(lowPrecision[i] - exact[i]))
                .max()
                .orElse(0);
    }

    /**
     * FlashAttention's rule (kernels.md, section D): at most twice the largest error that the same mathematics makes in
     * low precision, plus twice the rounding of a number to that precision's grid 0.3 further out. Infinities are exact.
     *
     * @param error of low precision
     * @param precision what the output is stored in
     */
    static Bounds within(double[] exact, double error, Precision precision) {
        double[] stored = DoubleStream.of(exact).map(precision::store).toArray();
        double[] thereAndBack = DoubleStream.of(stored)
                .map(value -> precision.store(precision.store(value + 0.3) - 0.3))
                .toArray();
        return exactly(exact).widened(2 * error + 2 * error(stored, thereAndBack));
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

    /** What is left of these values where they are rounded once more. */
    Bounds stored(Precision precision) {
        return new Bounds(
                DoubleStream.of(low).map(precision::store).toArray(),
                DoubleStream.of(high).map(precision::store).toArray(),
                untouched);
    }

    /** The same, but that some elements keep what they held. */
    Bounds keeping(BitSet elements) {
        return new Bounds(low, high, elements);
    }

    /** The same, but that elements without a value, NaN in the reference, keep what they held. */
    Bounds keepingUndefined() {
        BitSet undefined = new BitSet();
        IntStream.range(0, low.length).filter(i -> Double.isNaN(low[i])).forEach(undefined::set);
        return keeping(undefined);
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
