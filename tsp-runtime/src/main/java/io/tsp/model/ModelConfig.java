package io.tsp.model;

/**
 * A decoder-only transformer as Hugging Face's {@code config.json} describes it: pre-norm blocks of grouped-query
 * attention and a gated MLP, RMSNorm, rotary positions. Reading order: this file is the first stop; next:
 * {@link Block}.
 *
 * @param family {@code model_type}: llama, mistral, qwen2, qwen3
 * @param hidden hidden size h
 * @param intermediate intermediate size of the gated MLP
 * @param layers number of blocks
 * @param heads query heads
 * @param kvHeads key/value heads, a divisor of heads
 * @param headDim elements of one head, a multiple of 8, at most 256
 * @param vocab rows of the embedding
 * @param normEpsilon epsilon of every RMSNorm
 * @param maxPositions longest sequence that the model was made for
 * @param qkvBias whether q, k and v projections have a bias (Qwen2)
 * @param qkNorm whether q and k are normalised per head (Qwen3)
 * @param tiedEmbeddings whether the output projection is the embedding table
 * @param window sliding window in tokens for layers from windowFromLayer on, 0 for none
 * @param windowFromLayer first layer with a window (Qwen2's max_window_layers)
 */
public record ModelConfig(
        String family,
        int hidden,
        int intermediate,
        int layers,
        int heads,
        int kvHeads,
        int headDim,
        int vocab,
        float normEpsilon,
        long maxPositions,
        boolean qkvBias,
        boolean qkNorm,
        boolean tiedEmbeddings,
        long window,
        int windowFromLayer,
        RopeConfig rope) {

    /** Sliding window of a layer in tokens, 0 for full attention. */
    public long window(int layer) {
        return layer >= windowFromLayer ? window : 0;
    }

    /** The same model with another number of blocks. */
    public ModelConfig withLayers(int count) {
        return new ModelConfig(
                family,
                hidden,
                intermediate,
                count,
                heads,
                kvHeads,
                headDim,
                vocab,
                normEpsilon,
                maxPositions,
                qkvBias,
                qkNorm,
                tiedEmbeddings,
                window,
                windowFromLayer,
                rope);
    }

    /** Parameters of the whole model; a tied output projection counts once. */
    public long parameterCount() {
        long attention = (2L * heads + 2L * kvHeads) * headDim * hidden;
        long bias = qkvBias ? (heads + 2L * kvHeads) * headDim : 0;
        long headNorms = qkNorm ? 2L * headDim : 0;
        long block = attention + bias + headNorms + 3L * hidden * intermediate + 2L * hidden;
        return block * layers + hidden + (tiedEmbeddings ? 1L : 2L) * vocab * hidden;
    }
}
