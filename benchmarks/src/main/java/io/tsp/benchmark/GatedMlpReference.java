package io.tsp.benchmark;

import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.Panels;

/** One token's way through (silu(x Wg^T) * (x Wu^T)) Wd^T, feature by feature. Weights are read from the packed panels. */
final class GatedMlpReference {
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

    /** A panel has 32 columns of gate and as many of up. */
    private float[] activations(float[] x) {
        float[] activations = new float[(int) op.intermediate()];
        for (int panel = 0; panel < activations.length / FEATURES; panel++) {
            double[] products =
                    WeightPanel.read(bench, op.gateUp(), panel, x.length, true).products(x, precision);
            for (int column = 0; column < FEATURES; column++) {
                double gate = products[column];
                double up = products[column + FEATURES];
                double silu = precision.step(gate / precision.step(1 + precision.step(Math.exp(-gate))));
                activations[panel * FEATURES + column] = (float) precision.store(precision.step(silu * up));
            }
        }
        return activations;
    }

    /** 64 elements of the token's row of y, from a multiple of 64 on. */
    double[] output(int panel) {
        return WeightPanel.read(bench, op.down(), panel, activations.length, false)
                .products(activations, precision);
    }
}
