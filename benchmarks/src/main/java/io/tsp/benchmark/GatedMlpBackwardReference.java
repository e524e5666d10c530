package io.tsp.benchmark;

import io.tsp.op.Panels;
import io.tsp.op.TrainingOp.GatedMlpBackward;
import io.tsp.tensor.Tensor;

/**
 * Gradients of Y = (silu(x Wg^T) * (x Wu^T)) Wd^T in one token, feature by feature. Weights are read from the packed
 * panels. Pre-activations are always computed here, from x; where the op reads what forward saved, a plain loop rounds
 * them as forward had to.
 */
final class GatedMlpBackwardReference {
    private static final int FEATURES = (int) Panels.FEATURES;
    private static final int COLUMNS = (int) Panels.COLUMNS;

    /** Columns of dX that are computed, spread over all panels of down. */
    private static final int SAMPLES = 64;

    private final GatedMlpBackward op;
    private final Precision precision;
    private final int size;
    private final double[] hidden;
    private final double[] dGate;
    private final double[] dUp;
    private final double[] dX = new double[SAMPLES];

    private GatedMlpBackwardReference(GatedMlpBackward op, Workbench bench, int token, Precision precision) {
        this.op = op;
        this.precision = precision;
        size = (int) op.x().dim(1);
        int features = (int) op.intermediate();
        hidden = new double[features];
        dGate = new double[features];
        dUp = new double[features];
        double[] dHidden = dHidden(bench, bench.read(op.dY().rows(token, 1)));
        float[] x = bench.read(op.x().rows(token, 1));
        for (int panel = 0; panel < features / FEATURES; panel++) {
            WeightPanel weights = WeightPanel.read(bench, op.gateUp(), panel, size, true);
            double[] before = weights.products(x, precision);
            for (int column = 0; column < FEATURES; column++) {
                int feature = panel * FEATURES + column;
                setFeature(feature, kept(before[column]), kept(before[column + FEATURES]), dHidden[feature]);
                addToInput(feature, weights, column);
            }
        }
    }

    /**
     * Holds everything that the op has left of the first and the last token, of dX a sample, against the formula.
     *
     * @throws IllegalStateException if something is wrong
     */
    static void requireRight(GatedMlpBackward op, Workbench bench) {
        Check hiddenCheck = new Check("gated-mlp-backward's hidden");
        Check dGateCheck = new Check("gated-mlp-backward's dGate");
        Check dUpCheck = new Check("gated-mlp-backward's dUp");
        Check dXCheck = new Check("gated-mlp-backward's dX");
        for (int token : new int[] {0, (int) op.x().dim(0) - 1}) {
            GatedMlpBackwardReference exact = new GatedMlpBackwardReference(op, bench, token, Precision.EXACT);
            GatedMlpBackwardReference plain = new GatedMlpBackwardReference(
                    op, bench, token, Precision.of(op.x().dtype()));
            compare(hiddenCheck, bench.read(op.hidden().rows(token, 1)), exact.hidden, plain.hidden);
            compare(dGateCheck, bench.read(op.dGate().rows(token, 1)), exact.dGate, plain.dGate);
            compare(dUpCheck, bench.read(op.dUp().rows(token, 1)), exact.dUp, plain.dUp);
            float[] dX = bench.read(op.dX().rows(token, 1));
            for (int sample = 0; sample < SAMPLES; sample++) {
                dXCheck.compare(dX[exact.column(sample)], exact.dX[sample], plain.dX[sample]);
            }
        }
        hiddenCheck.require();
        dGateCheck.require();
        dUpCheck.require();
        dXCheck.require();
    }

    private static void compare(Check check, float[] result, double[] exact, double[] plain) {
        for (int i = 0; i < exact.length; i++) {
            check.compare(result[i], exact[i], plain[i]);
        }
    }

    /** The first and the last column of dX, and those between in equal steps. */
    private int column(int sample) {
        return sample * (size - 1) / (SAMPLES - 1);
    }

    /** dY Wd: [f]. */
    private double[] dHidden(Workbench bench, float[] dY) {
        double[] dHidden = new double[hidden.length];
        for (int panel = 0; panel < size / COLUMNS; panel++) {
            WeightPanel weights = WeightPanel.read(bench, op.down(), panel, hidden.length, false);
            for (int feature = 0; feature < hidden.length; feature++) {
                for (int column = 0; column < COLUMNS; column++) {
                    double product =
                            precision.step((double) dY[panel * COLUMNS + column] * weights.at(feature, column));
                    dHidden[feature] = precision.step(dHidden[feature] + product);
                }
            }
        }
        return dHidden;
    }

    private double kept(double preActivation) {
        Tensor saved = op.saved();
        return saved == null ? preActivation : precision.store(preActivation);
    }

    private void setFeature(int feature, double gate, double up, double dHidden) {
        double sigmoid = precision.step(1 / precision.step(1 + precision.step(Math.exp(-gate))));
        double silu = precision.step(gate * sigmoid);
        double slope = precision.step(sigmoid * precision.step(1 + precision.step(gate * precision.step(1 - sigmoid))));
        hidden[feature] = precision.store(precision.step(silu * up));
        dGate[feature] = precision.store(precision.step(precision.step(dHidden * up) * slope));
        dUp[feature] = precision.store(precision.step(dHidden * silu));
    }

    /** dX += dGate Wg + dUp Wu, of one feature: gate and up stand in one panel, 32 columns each. */
    private void addToInput(int feature, WeightPanel weights, int column) {
        for (int sample = 0; sample < SAMPLES; sample++) {
            int k = column(sample);
            double fromGate = precision.step(dGate[feature] * weights.at(k, column));
            double fromUp = precision.step(dUp[feature] * weights.at(k, column + FEATURES));
            dX[sample] = precision.step(precision.step(dX[sample] + fromGate) + fromUp);
        }
    }
}
