package io.tsp.device.conformance;

/** out [M, N] = before + a [M, K] b [N, K]^T + bias [N]. */
final class GemmReference {
    private GemmReference() {}

    /**
     * @param before zeros if out is overwritten
     * @param bias zeros if there is none
     * @param stored how out is rounded
     */
    static double[] product(
            double[] a, double[] b, double[] bias, double[] before, int depth, Precision precision, Precision stored) {
        int columns = bias.length;
        double[] out = new double[before.length];
        for (int i = 0; i < out.length; i++) {
            double product = precision.dot(a, i / columns * depth, b, i % columns * depth, depth);
            double sum = precision.step(before[i] + precision.step(product + bias[i % columns]));
            out[i] = stored.store(sum);
        }
        return out;
    }

    /** Of a matrix of so many columns. */
    static double[] transposed(double[] matrix, int columns) {
        double[] transposed = new double[matrix.length];
        int rows = columns == 0 ? 0 : matrix.length / columns;
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                transposed[j * rows + i] = matrix[i * columns + j];
            }
        }
        return transposed;
    }
}
