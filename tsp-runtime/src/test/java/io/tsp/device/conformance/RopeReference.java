package io.tsp.device.conformance;

/**
 * Pairs (i, i + d/2) of every head turned by positions[t] * inv_freq[i]. The angle is one fp32 product; cosine and sine are
 * scaled, then rounded to the dtype; the results are rounded to it.
 *
 * @param inverse whether pairs are turned back: gradients, by the transposed matrix, so that they are scaled as well
 */
record RopeReference(
        double[] x,
        double[] positions,
        double[] inverseFrequencies,
        int heads,
        float scale,
        boolean inverse,
        Precision dtype) {
    /** Of cosine and sine: what their float64 values may differ by, then two roundings to fp32. */
    private static final double ABSOLUTE = 0x1p-40;

    private static final double RELATIVE = 2 * 0x1p-23;

    /** Of the rotation: two products and their difference. */
    private static final double ROTATION = 2 * 0x1p-24;

    Bounds rotated() {
        int half = inverseFrequencies.length;
        double[] low = x.clone();
        double[] high = x.clone();
        for (int t = 0; t < positions.length; t++) {
            for (int i = 0; i < half; i++) {
                double angle = (float) positions[t] * (float) inverseFrequencies[i];
                double[] cosines = stored(Math.cos(angle));
                double[] sines = stored(inverse ? -Math.sin(angle) : Math.sin(angle));
                for (int head = 0; head < heads; head++) {
                    int first = (t * heads + head) * 2 * half + i;
                    double a = x[first];
                    double b = x[first + half];
                    turn(a, -b, cosines, sines, first, low, high);
                    turn(b, a, cosines, sines, first + half, low, high);
                }
            }
        }
        return Bounds.between(low, high);
    }

    /** Least and largest value that a tensor may hold of a cosine or sine. */
    private double[] stored(double exact) {
        double scaled = exact * scale;
        double error = Math.abs(scaled) * RELATIVE + ABSOLUTE * Math.abs(scale);
        return new double[] {dtype.store(scaled - error), dtype.store(scaled + error)};
    }

    /** straight * cosine + crossed * sine. */
    private void turn(
            double straight, double crossed, double[] cosines, double[] sines, int place, double[] low, double[] high) {
        low[place] = Double.POSITIVE_INFINITY;
        high[place] = Double.NEGATIVE_INFINITY;
        for (double cosine : cosines) {
            for (double sine : sines) {
                double value = straight * cosine + crossed * sine;
                double error = (Math.abs(straight * cosine) + Math.abs(crossed * sine)) * ROTATION;
                low[place] = Math.min(low[place], dtype.store(value - error));
                high[place] = Math.max(high[place], dtype.store(value + error));
            }
        }
    }
}
