package io.tsp.train;

/**
 * What AdamW (arXiv 1711.05101) does in one step.
 *
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param maxNorm largest norm of all gradients together, larger ones are scaled down to it; 0 for any
 */
public record AdamWSettings(
        double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double maxNorm) {

    AdamWSettings withLearningRate(double rate) {
        return new AdamWSettings(rate, beta1, beta2, epsilon, weightDecay, maxNorm);
    }

    /** The elements of {@link io.tsp.op.TrainingOp.AdamW}'s hyper for a step, the first being 1. */
    float[] values(long step) {
        // The kernel decays by the rounded betas, so it is these that must be corrected for.
        double decay1 = (float) beta1;
        double decay2 = (float) beta2;
        return new float[] {
            (float) learningRate,
            (float) beta1,
            (float) beta2,
            (float) epsilon,
            (float) weightDecay,
            (float) (1 - Math.pow(decay1, (double) step)),
            (float) (1 - Math.pow(decay2, (double) step)),
            (float) maxNorm
        };
    }
}
