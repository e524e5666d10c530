package io.tsp.scheme;

import io.tsp.model.AttentionGradients;
import io.tsp.model.AttentionShard;
import io.tsp.tensor.Tensor;

/** Attention over tokens of several ranks with the weights at hand: from the normed hidden states to Y. */
public interface SequenceAttention {
    /** @param x [T, h] */
    void forward(int layer, Tensor x, AttentionShard.Weights weights);

    /**
     * The way back; asked for once, in training only.
     *
     * @param dY [T, h]
     * @param dNormed f32 [T, h]
     * @param headNorms who shares the gradients of the norms of heads
     */
    Backward backward(Tensor dY, Tensor dNormed, RankWeights.Sharing headNorms);

    /** dNormed = the gradient through attention of x [T, h]; those of the weights are added up. */
    @FunctionalInterface
    interface Backward {
        void run(
                int layer,
                Tensor x,
                AttentionShard.Weights weights,
                AttentionGradients.Queries queries,
                AttentionGradients.KeysAndValues keysAndValues);
    }
}
