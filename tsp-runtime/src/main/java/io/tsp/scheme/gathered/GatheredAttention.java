package io.tsp.scheme.gathered;

import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import org.jspecify.annotations.Nullable;

/** Attention with whole weights on tokens of several ranks: from the normed hidden states to Y. */
interface GatheredAttention {
    void forward(int layer, AttentionShard.Weights weights, Block.@Nullable HeadNorms headNorms);
}
