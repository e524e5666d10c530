package io.tsp.scheme;

import io.tsp.tensor.DType;

/**
 * What a training program computes, apart from how ranks share it.
 *
 * @param forward one microbatch: its batch is that of all replicas
 * @param microbatches how many are run before the weights change
 * @param moments F32 or BF16: the optimizer's moments
 * @param update whether the optimizer runs; otherwise the program ends with the gradients
 * @param shardOptimizer whether ranks that hold the same weights divide the optimizer's work and state between them, by rows
 *     (ZeRO-1, arXiv 1910.02054); otherwise each of them does all of it
 */
public record TrainingRequest(
        ForwardRequest forward,
        int microbatches,
        Recompute recompute,
        DType moments,
        boolean update,
        boolean shardOptimizer) {
    public TrainingRequest {
        if (microbatches < 1) {
            throw new IllegalArgumentException("a step needs at least 1 microbatch, not " + microbatches);
        }
    }
}
