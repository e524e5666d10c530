package io.tsp.train;

import org.jspecify.annotations.Nullable;

/**
 * How long to train and what to do on the way.
 *
 * @param steps step to stop after
 * @param rows sequences of a microbatch, over all replicas
 * @param optimizer its learning rate is the schedule's
 * @param evaluateEvery steps between evaluations; 0 for none but the last
 * @param saveEvery steps between checkpoints; 0 for none but the last
 * @param sample text to go on with now and then; null for none
 */
public record TrainingSettings(
        long steps,
        int rows,
        AdamWSettings optimizer,
        LearningRate schedule,
        long evaluateEvery,
        long saveEvery,
        @Nullable Sample sample) {

    /**
     * A short text to be continued.
     *
     * @param prompt token ids, at least one
     * @param tokens how many to add
     * @param every steps between samples
     */
    @SuppressWarnings("ArrayRecordComponent") // read only
    public record Sample(int[] prompt, int tokens, long every) {}

    static boolean isDue(long every, long step) {
        return every > 0 && step % every == 0;
    }
}
