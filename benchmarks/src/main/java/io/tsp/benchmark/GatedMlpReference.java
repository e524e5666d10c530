package io.tsp.benchmark;

import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.Panels;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;

/**
 * One token's way through (silu(x Wg^T) * (x Wu^T)) Wd^T, feature by feature. Weights are read from the packed panels:
 * f32 [N / 64][K][64], bf16 [N / 64][K / 2][64][2].
 */
final class GatedMlpReference {
    private static final int COLUMNS = (int) Panels.COLUMNS;
    private static final int FEATURES = (int) Panels.FEATURES;

    private final GatedMlp op;
    private final Workbench bench;
    private final Precision precision;
    private final float[] activations;

    GatedMlpReference(GatedMlp op, Workbench bench, int token, Precision precision) {
        this.op = op;
        this.bench = bench;
        this.precision = precision;
        activations = activations(bench.read(op.x().rows(token, 1)));
    }

    /** Gate and up stand in one panel, 32 columns each. */
    private float[] activations(float[] x) {
        float[] activations = new float[(int) op.intermediate()];
        for (int panel = 0; panel < activations.length / FEATURES; panel++) {
            float[] weights = panel(op.gateUp(), panel, x.length);
            for (int column = 0; column < FEATURES; column++) {
                double gate = dot(x, weights, column);
                double up = dot(x, weights, column + FEATURES);
                double silu = precision.step(gate / precision.step(1 + precision.step(Math.exp(-gate))));
                activations[panel * FEATURES + column] = (float) precision.store(precision.step(silu * up));
            }
        }
        return activations;
    }

    /** 64 elements of the token's row of y, from a multiple of 64 on. */
    double[] output(int panel) {
        float[] weights = panel(op.down(), panel, activations.length);
        double[] output = new double[COLUMNS];
        for (int column = 0; column < COLUMNS; column++) {
            output[column] = dot(activations, weights, column);
        }
        return output;
    }

    private float[] panel(Tensor panels, int panel, int depth) {
        long count = (long) depth * COLUMNS;
        return bench.read(panels.rows(panel * count, count));
    }

    private double dot(float[] x, float[] panel, int column) {
        double sum = 0;
        for (int k = 0; k < x.length; k++) {
            int place = op.x().dtype() == DType.BF16 ? (k / 2 * COLUMNS + column) * 2 + k % 2 : k * COLUMNS + column;
            sum = precision.step(sum + precision.step((double) x[k] * panel[place]));
        }
        return sum;
    }
}
