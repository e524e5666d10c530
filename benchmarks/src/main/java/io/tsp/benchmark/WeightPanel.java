package io.tsp.benchmark;

import io.tsp.op.Panels;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;

/**
 * 64 columns of a packed weight of depth K, in the layout of the machine that benchmarks run on.
 *
 * @param isGateUp whether the panel holds 32 columns of gate and as many of up
 */
record WeightPanel(float[] elements, DType dtype, int depth, boolean isGateUp) {
    private static final int COLUMNS = (int) Panels.COLUMNS;
    private static final int FEATURES = (int) Panels.FEATURES;

    /** Features of gate, then of up, that lie together on GPUs. */
    private static final int TOGETHER = 8;

    /** The panel of this index among packed panels. */
    static WeightPanel read(Workbench bench, Tensor panels, int index, int depth, boolean isGateUp) {
        long count = (long) depth * COLUMNS;
        return new WeightPanel(bench.read(panels.rows(index * count, count)), panels.dtype(), depth, isGateUp);
    }

    /**
     * Where an element is: on CPUs f32 [K][64] and bf16 [K / 2][64][2], on GPUs [64][K].
     *
     * @param column of a panel of gate and up: first those of gate
     */
    static int place(int k, int column, DType dtype, int depth, boolean isGateUp) {
        if (Machine.isCuda()) {
            int feature = column % FEATURES;
            int row = isGateUp
                    ? feature / TOGETHER * 2 * TOGETHER + column / FEATURES * TOGETHER + feature % TOGETHER
                    : column;
            return row * depth + k;
        }
        return dtype == DType.BF16 ? (k / 2 * COLUMNS + column) * 2 + k % 2 : k * COLUMNS + column;
    }

    float at(int k, int column) {
        return elements[place(k, column, dtype, depth, isGateUp)];
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
