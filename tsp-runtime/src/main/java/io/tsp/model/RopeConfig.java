package io.tsp.model;

/**
 * Rotary embedding (arXiv 2104.09864) and its scaling for longer contexts, with transformers' meaning of each field.
 *
 * @param theta base of the frequencies
 */
public record RopeConfig(double theta, Scaling scaling) {

    /** How frequencies are stretched; one record for each {@code rope_type} of transformers. */
    public sealed interface Scaling {}

    /** rope_type {@code default}. */
    public record None() implements Scaling {}

    /** rope_type {@code linear}: every frequency is divided by factor. */
    public record Linear(double factor) implements Scaling {}

    /** rope_type {@code dynamic}: NTK scaling that grows with the sequence beyond the original maximum. */
    public record Dynamic(double factor, long originalMaxPositions) implements Scaling {}

    /** rope_type {@code llama3}. */
    public record Llama3(
            double factor, double lowFrequencyFactor, double highFrequencyFactor, long originalMaxPositions)
            implements Scaling {}

    /**
     * rope_type {@code yarn} (arXiv 2309.00071).
     *
     * @param attentionFactor scale of cosine and sine, already derived from mscale where the file does not give it
     */
    public record Yarn(
            double factor,
            double attentionFactor,
            double betaFast,
            double betaSlow,
            long originalMaxPositions,
            boolean truncate)
            implements Scaling {}
}
