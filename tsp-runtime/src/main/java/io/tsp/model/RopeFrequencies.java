package io.tsp.model;

import io.tsp.model.RopeConfig.Dynamic;
import io.tsp.model.RopeConfig.Linear;
import io.tsp.model.RopeConfig.Llama3;
import io.tsp.model.RopeConfig.None;
import io.tsp.model.RopeConfig.Yarn;

/**
 * Inverse frequencies of rotary embeddings, rounded to fp32 after the same steps as transformers
 * ({@code modeling_rope_utils.py}, 5.18): token position p turns pair i of a head by the angle p * inverse[i], and
 * cosine and sine are multiplied by the attention scale. Pair i of a head of d elements is (i, i + d/2).
 *
 * <p>Rounding matters: at position 100,000 one unit in the last place of a frequency turns the first pairs by
 * almost 0.01 radian, so a better rounded frequency would be a different model.
 */
public final class RopeFrequencies {
    private RopeFrequencies() {}

    /**
     * The headDim / 2 inverse frequencies.
     *
     * @param tokens largest position of the sequence plus one; only {@link Dynamic} depends on it
     */
    public static float[] inverse(RopeConfig rope, int headDim, long tokens) {
        return switch (rope.scaling()) {
            case None() -> reciprocals(periods(rope.theta(), headDim));
            case Linear(double factor) -> linear(reciprocals(periods(rope.theta(), headDim)), (float) factor);
            case Dynamic dynamic -> reciprocals(periods(dynamicTheta(rope.theta(), dynamic, headDim, tokens), headDim));
            case Llama3 llama3 -> llama3(reciprocals(periods(rope.theta(), headDim)), llama3);
            case Yarn yarn -> yarn(periods(rope.theta(), headDim), rope.theta(), headDim, yarn);
        };
    }

    /** What cosine and sine are multiplied by. */
    public static float attentionScale(RopeConfig rope) {
        return rope.scaling() instanceof Yarn yarn ? (float) yarn.attentionFactor() : 1;
    }

    /** theta ^ (2i / headDim). */
    private static float[] periods(double theta, int headDim) {
        float[] periods = new float[headDim / 2];
        for (int i = 0; i < periods.length; i++) {
            periods[i] = (float) Math.pow((float) theta, (float) (2 * i) / headDim);
        }
        return periods;
    }

    private static float[] reciprocals(float[] periods) {
        float[] reciprocals = new float[periods.length];
        for (int i = 0; i < periods.length; i++) {
            reciprocals[i] = 1 / periods[i];
        }
        return reciprocals;
    }

    private static float[] linear(float[] inverse, float factor) {
        float[] scaled = new float[inverse.length];
        for (int i = 0; i < inverse.length; i++) {
            scaled[i] = inverse[i] / factor;
        }
        return scaled;
    }

    /** The NTK-aware base: up to the original maximum the model is the unscaled one. */
    private static double dynamicTheta(double theta, Dynamic dynamic, int headDim, long tokens) {
        if (tokens <= dynamic.originalMaxPositions()) {
            return theta;
        }
        float stretch = (float) dynamic.factor() * tokens / dynamic.originalMaxPositions();
        float growth = stretch - (float) (dynamic.factor() - 1);
        double exponent = (double) headDim / (headDim - 2);
        return (float) theta * (float) Math.pow(growth, (float) exponent);
    }

    /** Short wavelengths stay, long ones are divided by the factor, those between are blended. */
    private static float[] llama3(float[] inverse, Llama3 llama3) {
        float factor = (float) llama3.factor();
        float original = llama3.originalMaxPositions();
        float longest = (float) (llama3.originalMaxPositions() / llama3.lowFrequencyFactor());
        float shortest = (float) (llama3.originalMaxPositions() / llama3.highFrequencyFactor());
        float low = (float) llama3.lowFrequencyFactor();
        float span = (float) (llama3.highFrequencyFactor() - llama3.lowFrequencyFactor());
        float[] scaled = new float[inverse.length];
        for (int i = 0; i < inverse.length; i++) {
            float wavelength = (float) (2 * Math.PI) / inverse[i];
            if (wavelength < shortest) {
                scaled[i] = inverse[i];
            } else if (wavelength > longest) {
                scaled[i] = inverse[i] / factor;
            } else {
                float smooth = (original / wavelength - low) / span;
                scaled[i] = (1 - smooth) * inverse[i] / factor + smooth * inverse[i];
            }
        }
        return scaled;
    }

    /**
     * arXiv 2309.00071 section 3.2: pairs that turn often keep their frequency, pairs that turn seldom are
     * interpolated.
     */
    private static float[] yarn(float[] periods, double theta, int headDim, Yarn yarn) {
        double low = correctionPair(yarn.betaFast(), theta, headDim, yarn.originalMaxPositions());
        double high = correctionPair(yarn.betaSlow(), theta, headDim, yarn.originalMaxPositions());
        if (yarn.truncate()) {
            low = Math.floor(low);
            high = Math.ceil(high);
        }
        low = Math.max(low, 0);
        high = Math.min(high, headDim - 1);
        // transformers' guard against a division by zero.
        float span = (float) (low == high ? 0.001 : high - low);
        float factor = (float) yarn.factor();
        float[] inverse = new float[periods.length];
        for (int i = 0; i < periods.length; i++) {
            float ramp = Math.clamp((i - (float) low) / span, 0, 1);
            float kept = 1 - ramp;
            inverse[i] = 1 / (factor * periods[i]) * (1 - kept) + 1 / periods[i] * kept;
        }
        return inverse;
    }

    /** The pair, as a fraction, that makes the given number of turns over the original maximum. */
    private static double correctionPair(double turns, double theta, int headDim, long positions) {
        return headDim * Math.log(positions / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
    }
}
