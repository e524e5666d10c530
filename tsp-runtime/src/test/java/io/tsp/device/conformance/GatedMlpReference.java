package io.tsp.device.conformance;

import io.tsp.op.Panels;

/** Y (+)= (silu(X Wg^T) * (X Wu^T)) Wd^T. */
record GatedMlpReference(double[] x, double[] gate, double[] up, double[] down, int rows, int hidden, int features) {
    private static final int PANEL = (int) Panels.FEATURES;

    /** @param before what y held and is added to; zeros if it is overwritten */
    double[] y(double[] before, Precision precision) {
        double[] activation = activation(precision);
        double[] y = new double[rows * hidden];
        for (int t = 0; t < rows; t++) {
            for (int i = 0; i < hidden; i++) {
                double product = precision.dot(activation, t * features, down, i * features, features);
                y[t * hidden + i] = precision.step(before[t * hidden + i] + product);
            }
        }
        return y;
    }

    /** Before silu [T, 2 f], f padded, in the order of panels: 32 features of the gate, then the same of up. */
    double[] saved(Precision precision) {
        int padded = Math.toIntExact(Panels.pad(features));
        double[] saved = new double[rows * 2 * padded];
        for (int t = 0; t < rows; t++) {
            for (int i = 0; i < features; i++) {
                int place = t * 2 * padded + i / PANEL * 2 * PANEL + i % PANEL;
                saved[place] = precision.store(precision.dot(x, t * hidden, gate, i * hidden, hidden));
                saved[place + PANEL] = precision.store(precision.dot(x, t * hidden, up, i * hidden, hidden));
            }
        }
        return saved;
    }

    private double[] activation(Precision precision) {
        double[] activation = new double[rows * features];
        for (int t = 0; t < rows; t++) {
            for (int i = 0; i < features; i++) {
                double g = precision.dot(x, t * hidden, gate, i * hidden, hidden);
                double u = precision.dot(x, t * hidden, up, i * hidden, hidden);
                double silu = precision.step(g / precision.step(1 + precision.step(Math.exp(-g))));
                activation[t * features + i] = precision.store(precision.step(silu * u));
            }
        }
        return activation;
    }
}
