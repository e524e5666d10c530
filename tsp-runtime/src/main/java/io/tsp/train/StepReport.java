package io.tsp.train;

import org.jspecify.annotations.Nullable;

/**
 * What is known of a step of training when it is done.
 *
 * @param step 1 for the first
 * @param loss mean loss in nats over the step's valid labels, before the weights changed
 * @param gradientNorm L2 norm of all gradients together, before clipping
 * @param tokens of the step, over all ranks and microbatches
 * @param seconds from the first write to the last read
 * @param peakBytes reserved for the rank of this process that has most, all arenas together
 * @param exposedTransferSeconds compute waited for bytes although all peers had come, on the rank of this process where it
 *     waited longest
 * @param evaluation of the held-out sequences after the step, if it was due
 * @param sample token ids that continue the prompt after the step, if it was due; not to be changed
 */
@SuppressWarnings("ArrayRecordComponent") // read only
public record StepReport(
        long step,
        double loss,
        double gradientNorm,
        double learningRate,
        long tokens,
        double seconds,
        long peakBytes,
        double exposedTransferSeconds,
        @Nullable Evaluation evaluation,
        int @Nullable [] sample) {

    /**
     * A mean over held-out tokens.
     *
     * @param loss in nats
     * @param labels over which
     */
    public record Evaluation(double loss, long labels) {}

    public double tokensPerSecond() {
        return tokens / seconds;
    }
}
