package io.tsp.scheme;

import io.tsp.model.ModelConfig;
import io.tsp.tensor.DType;

/**
 * What a forward program computes, apart from how ranks share it.
 *
 * @param dtype F32 or BF16: weights and activations
 * @param batch sequences, over all data-parallel replicas
 * @param seq tokens of each sequence
 * @param packed whether sequences hold several documents that do not see each other
 * @param logits whether rank 0 shall hold all logits in the end
 */
public record ForwardRequest(ModelConfig config, DType dtype, long batch, long seq, boolean packed, boolean logits) {}
