package io.tsp.benchmark;

import io.tsp.op.Panels;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;

/**
 * 64 columns of a packed weight of depth K.
 *
 * @param elements f32 [K][64], bf16 [K / 2][64][2]
 */
record WeightPanel(float[] elements, DType dtype) {
    private static final int COLUMNS = (int) Panels.COLUMNS;

    /** The panel of this index among packed panels. */
    static WeightPanel read(Workbench bench, Tensor panels, int index, int depth) {
        long count = (long) depth * COLUMNS;
        return new WeightPanel(bench.read(panels.rows(index * count, count)), panels.dtype());
    }

    float at(int k, int column) {
        return elements[dtype == DType.BF16 ? (k / 2 * COLUMNS + column) * 2 + k % 2 : k * COLUMNS + column];
    }

    /** x [K] times each column: [64]. */
    double[] products(float[] x, Precision precision) {
        double[] sums = new double[COLUMNS];
        for (int k = 0; k < x.length; k++) {
            for (int column = 0; column < COLUMNS; column++) {
                sums[column] = precision.step(sums[column] + precision.step((double) x[k] * at(k, column)));
            }
        }
        return sums;
    }
}
