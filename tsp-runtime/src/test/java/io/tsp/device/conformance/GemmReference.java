package io.tsp.device.conformance;

/** out [M, N] = before + a [M, K] weight [N, K]^T + bias [N]. */
final class GemmReference {
    private GemmReference() {}

    /**
     * @param before zeros if out is overwritten
     * @param bias zeros if there is none
     * @param stored how out is rounded
     */
    static double[] product(
            double[] a,
            double[] weight,
            double[] bias,
            double[] before,
            int depth,
            Precision precision,
            Precision stored) {
        int columns = bias.length;
        double[] out = new double[before.length];
        for (int i = 0; i < out.length; i++) {
            double product = precision.dot(a, i / columns * depth, weight, i % columns * depth, depth);
            double sum = precision.step(before[i] + precision.step(product + bias[i % columns]));
            out[i] = stored.store(sum);
        }
        return out;
    }
}
