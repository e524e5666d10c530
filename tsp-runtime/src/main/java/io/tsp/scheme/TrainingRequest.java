package io.tsp.scheme;

import io.tsp.tensor.DType;

/**
 * What a training program computes, apart from how ranks share it.
 *
 * @param forward one microbatch: its batch is that of all replicas
 * @param microbatches how many are run before the weights change
 * @param moments F32 or BF16: the optimizer's moments
 * @param update whether the optimizer runs; otherwise the program ends with the gradients
 */
public record TrainingRequest(
        ForwardRequest forward, int microbatches, Recompute recompute, DType moments, boolean update) {
    public TrainingRequest {
        if (microbatches < 1) {
            throw new IllegalArgumentException("a step needs at least 1 microbatch, not " + microbatches);
        }
    }
}
