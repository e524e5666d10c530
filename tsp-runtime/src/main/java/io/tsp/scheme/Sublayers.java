package io.tsp.scheme;

import io.tsp.tensor.Tensor;

/**
 * The parts in which schemes differ. T is the number of rows of {@link #y}. Sub-layers are counted: attention of layer i
 * is 2 i, its MLP 2 i + 1, and the loss, after the final norm, 2 layers.
 *
 * <p>A sub-layer reads what is in normed and leaves its result in y; the residual stream and the norms are not its
 * business.
 */
public interface Sublayers {
    /** Where the input of a sub-layer goes, [T, h]. */
    Tensor normed(int sublayer);

    /** Where a sub-layer leaves its result, f32 [T, h]. */
    Tensor y();

    /** Fills x [T, h], the residual stream, with the tokens' embeddings. */
    void embed(Tensor x);

    void attention(int layer);

    void mlp(int layer);

    /** From the normed final hidden states to the totals. */
    LossHead.Result loss();

    /** The gradients of all this; asked for once, in training only. */
    Backward backward();

    /**
     * The sub-layers' gradients. A sub-layer finds in normed what it had read, in dY the gradient of its result; it leaves
     * in dNormed the gradient of what it had read, and adds up those of its weights.
     */
    interface Backward {
        /** Where the gradient of a sub-layer's result stands, [T, h]; at last that of the embeddings. */
        Tensor dY();

        /** Where the gradient of a sub-layer's input goes, f32 [T, h]. */
        Tensor dNormed();

        void loss();

        void mlp(int layer);

        void attention(int layer);

        void embed();

        /** Who shares the gradients of the norms of x. */
        RankWeights.Sharing normSharing();
    }
}
