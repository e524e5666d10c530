package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.TrainingOp.AdamW;
import io.tsp.tensor.Tensor;

/**
 * One step of AdamW with weight decay, element by element: with g = grad * factor, p -= lr decay p, m = beta1 m +
 * (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p -= lr / c1 * m / (sqrt(v) / sqrt(c2) + epsilon). All of it is fp32;
 * moments are rounded when they are stored.
 */
final class AdamWReference {
    private static final int STEP = 1009;

    private final float factor;
    private final float learningRate;
    private final float beta1;
    private final float beta2;
    private final float epsilon;
    private final float weightDecay;
    private final float correction1;
    private final float correction2;

    private AdamWReference(float[] hyper, float[] clip) {
        factor = clip[0];
        learningRate = hyper[0];
        beta1 = hyper[1];
        beta2 = hyper[2];
        epsilon = hyper[3];
        weightDecay = hyper[4];
        correction1 = hyper[5];
        correction2 = hyper[6];
    }

    /** What a step changes. */
    private record Operands(float[] parameter, float[] first, float[] second) {
        static Operands read(AdamW op, Workbench bench) {
            return new Operands(bench.read(op.parameter()), bench.read(op.first()), bench.read(op.second()));
        }
    }

    /**
     * Runs a step and holds a sample of what it leaves against the formula.
     *
     * @throws IllegalStateException if it is wrong
     */
    static void runAndRequireRight(AdamW op, Workbench bench, Launch launch) {
        AdamWReference reference = new AdamWReference(bench.read(op.hyper()), bench.read(op.clip()));
        float[] grad = bench.read(op.grad());
        Operands before = Operands.read(op, bench);
        launch.run();
        Operands after = Operands.read(op, bench);
        Check parameterCheck = new Check("adamw's parameter");
        Check firstCheck = new Check("adamw's first moment");
        Check secondCheck = new Check("adamw's second moment");
        Precision firstStored = Precision.of(op.first().dtype());
        Precision secondStored = Precision.of(op.second().dtype());
        for (int i = 0; i < grad.length; i += STEP) {
            Result exact = reference.step(before, i, grad[i], Precision.EXACT);
            Result plain = reference.step(before, i, grad[i], Precision.F32);
            parameterCheck.compare(after.parameter[i], exact.parameter, plain.parameter);
            firstCheck.compare(after.first[i], exact.first, firstStored.store(plain.first));
            secondCheck.compare(after.second[i], exact.second, secondStored.store(plain.second));
        }
        parameterCheck.require();
        firstCheck.require();
        secondCheck.require();
        requireRounded(op, bench, after.parameter);
    }

    private static void requireRounded(AdamW op, Workbench bench, float[] parameter) {
        Tensor operand = op.rounded();
        if (operand != null) {
            float[] rounded = bench.read(operand);
            Precision stored = Precision.of(operand.dtype());
            for (int i = 0; i < rounded.length; i += STEP) {
                Check.requireEqual("adamw's rounded parameter", i, rounded[i], stored.store(parameter[i]));
            }
        }
    }

    private record Result(double parameter, double first, double second) {}

    private Result step(Operands before, int i, float grad, Precision precision) {
        double g = precision.step((double) grad * factor);
        double lost = precision.step((double) learningRate * weightDecay);
        double p = precision.step(before.parameter[i] - precision.step(lost * before.parameter[i]));
        double m = moment(beta1, before.first[i], g, precision);
        double v = moment(beta2, before.second[i], precision.step(g * g), precision);
        double root = precision.step(precision.step(Math.sqrt(v)) / precision.step(Math.sqrt(correction2)));
        double rate = precision.step((double) learningRate / correction1);
        double moved = precision.step(precision.step(rate * m) / precision.step(root + epsilon));
        return new Result(precision.step(p - moved), m, v);
    }

    private static double moment(float beta, float before, double value, Precision precision) {
        double added = precision.step(precision.step(1 - (double) beta) * value);
        return precision.step(precision.step((double) beta * before) + added);
    }
}
