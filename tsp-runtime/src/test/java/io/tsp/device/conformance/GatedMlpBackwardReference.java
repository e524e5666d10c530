package io.tsp.device.conformance;

import io.tsp.op.Panels;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Gradients of Y = (silu(X Wg^T) * (X Wu^T)) Wd^T but those of the weights, feature by feature.
 *
 * @param dY [T, h]
 */
record GatedMlpBackwardReference(GatedMlpReference forward, double[] dY) {
    private static final int PANEL = (int) Panels.FEATURES;

    /**
     * hidden, dGate and dUp [T, f], padded with zeros to whole panels, and dX [T, h].
     *
     * @param dXBefore what dX held and is added to; zeros if it is overwritten
     * @param kept in what the forward pass has left the pre-activations; null if they are computed again
     */
    List<double[]> gradients(double[] dXBefore, Precision precision, @Nullable Precision kept) {
        int hidden = forward.hidden();
        int features = forward.features();
        int padded = Math.toIntExact(Panels.pad(features));
        double[] saved = kept == null ? null : saved(forward, kept);
        double[] activation = new double[forward.rows() * padded];
        double[] dGate = activation.clone();
        double[] dUp = activation.clone();
        double[] dX = dXBefore.clone();
        double[] downRows = GemmReference.transposed(forward.down(), features);
        for (int t = 0; t < forward.rows(); t++) {
            double[] sums = new double[hidden];
            for (int i = 0; i < features; i++) {
                int before = t * 2 * padded + i / PANEL * 2 * PANEL + i % PANEL;
                double g = saved != null
                        ? saved[before]
                        : precision.dot(forward.x(), t * hidden, forward.gate(), i * hidden, hidden);
                double u = saved != null
                        ? saved[before + PANEL]
                        : precision.dot(forward.x(), t * hidden, forward.up(), i * hidden, hidden);
                double sigmoid = precision.step(1 / precision.step(1 + precision.exp(-g)));
                double silu = precision.step(g * sigmoid);
                double slope =
                        precision.step(sigmoid * precision.step(1 + precision.step(g * precision.step(1 - sigmoid))));
                double dHidden = precision.dot(dY, t * hidden, downRows, i * hidden, hidden);
                int place = t * padded + i;
                activation[place] = precision.store(precision.step(silu * u));
                dGate[place] = precision.store(precision.step(precision.step(dHidden * u) * slope));
                dUp[place] = precision.store(precision.step(dHidden * silu));
                for (int j = 0; j < hidden; j++) {
                    sums[j] = precision.step(sums[j] + precision.step(dGate[place] * forward.gate()[i * hidden + j]));
                    sums[j] = precision.step(sums[j] + precision.step(dUp[place] * forward.up()[i * hidden + j]));
                }
            }
            for (int j = 0; j < hidden; j++) {
                dX[t * hidden + j] = precision.step(dX[t * hidden + j] + sums[j]);
            }
        }
        return List.of(activation, dGate, dUp, dX);
    }

    /** What the forward pass leaves of the pre-activations. */
    static double[] saved(GatedMlpReference forward, Precision kept) {
        return Arrays.stream(forward.saved(Precision.EXACT)).map(kept::store).toArray();
    }
}
