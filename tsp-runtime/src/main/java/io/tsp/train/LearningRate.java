package io.tsp.train;

/**
 * The learning rate of every step. It first grows linearly to its peak, then follows its kind. With a final share of 0
 * these are the factors of the schedules of Hugging Face's transformers, used a step earlier: there step s has the factor
 * of s - 1, so the first step has rate 0 and is wasted; here the first of w steps of warm-up has a w-th of the peak.
 *
 * @param peak the largest rate, which the last step of the warm-up has
 * @param warmupSteps steps that it takes to grow; 0 for none
 * @param totalSteps steps of the training; later ones keep the rate of the last
 * @param finalShare rate of the last step as a share of the peak, from 0 to 1; not used by {@link Kind#CONSTANT}
 * @param wsdDecayShare share of all steps, rounded, in which {@link Kind#WSD} decays, from 0 to 1; not used by others
 */
public record LearningRate(
        double peak, long warmupSteps, long totalSteps, Kind kind, double finalShare, double wsdDecayShare) {

    /** What follows the warm-up. */
    public enum Kind {
        /** The peak. */
        CONSTANT,
        /** A straight line from the peak to the final share. */
        LINEAR,
        /** Half a cosine from the peak to the final share (arXiv 1608.03983, without restarts). */
        COSINE,
        /** The peak, and a straight line to the final share at the end: warm-up, stable, decay (arXiv 2404.06395). */
        WSD
    }

    /** @throws IllegalArgumentException if a number is out of its range or the parts take more than all steps */
    public LearningRate {
        if (!(peak > 0 && peak <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException("the learning rate is " + peak + "; give a number above 0");
        }
        if (totalSteps < 1) {
            throw new IllegalArgumentException("training has " + totalSteps + " steps; give at least 1");
        }
        if (warmupSteps < 0 || warmupSteps > totalSteps) {
            throw new IllegalArgumentException("the warm-up has " + warmupSteps + " steps of " + totalSteps
                    + " in all; give a number from 0 to " + totalSteps);
        }
        requireShare("the learning rate ends with a share of " + finalShare + " of its peak", finalShare);
        requireShare("the learning rate decays in a share of " + wsdDecayShare + " of all steps", wsdDecayShare);
        if (kind == Kind.WSD && decaySteps(totalSteps, wsdDecayShare) > totalSteps - warmupSteps) {
            throw new IllegalArgumentException("a warm-up of " + warmupSteps + " steps and a decay of "
                    + decaySteps(totalSteps, wsdDecayShare) + " are more than " + totalSteps
                    + " steps; shorten one of them");
        }
    }

    /**
     * The rate of a step.
     *
     * @param step from 1
     * @throws IllegalArgumentException if step is below 1
     */
    public double at(long step) {
        if (step < 1) {
            throw new IllegalArgumentException("steps count from 1, there is no step " + step);
        }
        if (step < warmupSteps) {
            return peak * step / warmupSteps;
        }
        return switch (kind) {
            case CONSTANT -> peak;
            case LINEAR -> decayed(1 - progress(step, warmupSteps));
            case COSINE -> decayed((1 + Math.cos(Math.PI * progress(step, warmupSteps))) / 2);
            case WSD -> decayed(1 - progress(step, totalSteps - decaySteps(totalSteps, wsdDecayShare)));
        };
    }

    /** From 0 at the last step before the decay to 1 at the last of all. */
    private double progress(long step, long before) {
        long reached = Math.min(step, totalSteps);
        return reached <= before ? 0 : (double) (reached - before) / (totalSteps - before);
    }

    /** The rate when this part of the way down is still ahead. */
    private double decayed(double ahead) {
        return peak * (finalShare + (1 - finalShare) * ahead);
    }

    private static long decaySteps(long totalSteps, double share) {
        return Math.round(share * totalSteps);
    }

    private static void requireShare(String sentence, double share) {
        if (!(share >= 0 && share <= 1)) {
            throw new IllegalArgumentException(sentence + "; give a number from 0 to 1");
        }
    }
}
