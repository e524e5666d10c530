package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.TrainingOp.RmsNormBackward;
import io.tsp.tensor.Tensor;

/**
 * With r = 1 / sqrt(mean(x^2) + epsilon), z = x r and g = dOut * weight: dX = r (g - z mean(g z)), added to what is there
 * if the op does so, and dWeight = the sum of dOut * z over all rows. All of it is fp32, whatever the operands are kept
 * in. The operands are read when the reference is made.
 */
final class RmsNormBackwardReference {
    private static final int SAMPLED_ROWS = 64;
    private static final int SAMPLED_WEIGHTS = 64;

    private final RmsNormBackward op;
    private final Workbench bench;
    private final Precision precision;
    private final int rows;
    private final int size;
    private final double[][] dX = new double[SAMPLED_ROWS][];
    private final double[] dWeight = new double[SAMPLED_WEIGHTS];

    private RmsNormBackwardReference(RmsNormBackward op, Workbench bench, Precision precision) {
        this.op = op;
        this.bench = bench;
        this.precision = precision;
        rows = (int) op.x().dim(0);
        size = (int) op.x().dim(1);
        for (int row = 0; row < rows; row++) {
            addToWeight(row);
        }
        float[] weight = bench.read(op.weight());
        for (int sample = 0; sample < SAMPLED_ROWS; sample++) {
            dX[sample] = input(row(sample), weight);
        }
    }

    /**
     * Runs the op and holds a sample of its gradients against the formula.
     *
     * @throws IllegalStateException if one is wrong
     */
    static void runAndRequireRight(RmsNormBackward op, Workbench bench, Launch launch) {
        RmsNormBackwardReference exact = new RmsNormBackwardReference(op, bench, Precision.EXACT);
        RmsNormBackwardReference plain = new RmsNormBackwardReference(op, bench, Precision.F32);
        launch.run();
        Check dXCheck = new Check("rms-norm-backward's dX");
        for (int sample = 0; sample < SAMPLED_ROWS; sample++) {
            float[] dX = bench.read(op.dX().rows(exact.row(sample), 1));
            for (int i = 0; i < dX.length; i++) {
                dXCheck.compare(dX[i], exact.dX[sample][i], plain.dX[sample][i]);
            }
            exact.requireRounded(exact.row(sample), dX);
        }
        dXCheck.require();
        Check dWeightCheck = new Check("rms-norm-backward's dWeight");
        float[] dWeight = bench.read(op.dWeight());
        for (int sample = 0; sample < SAMPLED_WEIGHTS; sample++) {
            dWeightCheck.compare(dWeight[exact.column(sample)], exact.dWeight[sample], plain.dWeight[sample]);
        }
        dWeightCheck.require();
    }

    private void requireRounded(int row, float[] dX) {
        Tensor operand = op.rounded();
        if (operand != null) {
            float[] rounded = bench.read(operand.rows(row, 1));
            for (int i = 0; i < size; i++) {
                double expected = Precision.of(operand.dtype()).store(dX[i]);
                Check.requireEqual("rms-norm-backward's rounded dX", (long) row * size + i, rounded[i], expected);
            }
        }
    }

    /** The first and the last row, and those between in equal steps. */
    private int row(int sample) {
        return (int) ((long) sample * (rows - 1) / (SAMPLED_ROWS - 1));
    }

    private int column(int sample) {
        return sample * (size - 1) / (SAMPLED_WEIGHTS - 1);
    }

    private double factor(float[] x) {
        double square = precision.step(precision.dot(x, 0, x, 0, size) / size);
        return precision.step(1 / precision.step(Math.sqrt(precision.step(square + op.epsilon()))));
    }

    private void addToWeight(int row) {
        float[] x = bench.read(op.x().rows(row, 1));
        float[] dOut = bench.read(op.dOut().rows(row, 1));
        double factor = factor(x);
        for (int sample = 0; sample < SAMPLED_WEIGHTS; sample++) {
            int column = column(sample);
            double product = precision.step(dOut[column] * precision.step(x[column] * factor));
            dWeight[sample] = precision.step(dWeight[sample] + product);
        }
    }

    private double[] input(int row, float[] weight) {
        float[] x = bench.read(op.x().rows(row, 1));
        float[] dOut = bench.read(op.dOut().rows(row, 1));
        float[] before = op.accumulate() ? bench.read(op.dX().rows(row, 1)) : new float[size];
        double factor = factor(x);
        double mean = 0;
        for (int i = 0; i < size; i++) {
            double g = precision.step((double) dOut[i] * weight[i]);
            mean = precision.step(mean + precision.step(g * precision.step(x[i] * factor)));
        }
        mean = precision.step(mean / size);
        double[] gradient = new double[size];
        for (int i = 0; i < size; i++) {
            double g = precision.step((double) dOut[i] * weight[i]);
            double along = precision.step(precision.step(x[i] * factor) * mean);
            gradient[i] = precision.step(before[i] + precision.step(factor * precision.step(g - along)));
        }
        return gradient;
    }
}
