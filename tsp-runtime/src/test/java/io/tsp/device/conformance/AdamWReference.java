package io.tsp.device.conformance;

/**
 * One step of AdamW: p -= lr decay p, m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p -= lr / c1 * m /
 * (sqrt(v) / sqrt(c2) + epsilon), where g = grad * factor. All of it is fp32, whatever the moments are kept in.
 *
 * @param hyper as {@code TSP_HYPER_*} number them
 */
record AdamWReference(
        double[] parameter,
        double[] grad,
        double[] first,
        double[] second,
        double[] hyper,
        double factor,
        boolean decay) {
    private static final int LEARNING_RATE = 0;
    private static final int BETA1 = 1;
    private static final int BETA2 = 2;
    private static final int EPSILON = 3;
    private static final int WEIGHT_DECAY = 4;
    private static final int BIAS_CORRECTION1 = 5;
    private static final int BIAS_CORRECTION2 = 6;

    /** The new parameter and moments. */
    record Result(double[] parameter, double[] first, double[] second) {}

    Result step(Precision precision) {
        Result result = new Result(parameter.clone(), first.clone(), second.clone());
        double lost = precision.step(hyper[LEARNING_RATE] * hyper[WEIGHT_DECAY]);
        double rate = precision.step(hyper[LEARNING_RATE] / hyper[BIAS_CORRECTION1]);
        double root = precision.step(Math.sqrt(hyper[BIAS_CORRECTION2]));
        for (int i = 0; i < grad.length; i++) {
            double g = precision.step(grad[i] * factor);
            double p = decay ? precision.step(parameter[i] - precision.step(lost * parameter[i])) : parameter[i];
            double m = moment(hyper[BETA1], first[i], g, precision);
            double v = moment(hyper[BETA2], second[i], precision.step(g * g), precision);
            double divisor = precision.step(precision.step(precision.step(Math.sqrt(v)) / root) + hyper[EPSILON]);
            result.parameter[i] = precision.step(p - precision.step(precision.step(rate * m) / divisor));
            result.first[i] = m;
            result.second[i] = v;
        }
        return result;
    }

    private static double moment(double beta, double before, double value, Precision precision) {
        double added = precision.step(precision.step(1 - beta) * value);
        return precision.step(precision.step(beta * before) + added);
    }
}
