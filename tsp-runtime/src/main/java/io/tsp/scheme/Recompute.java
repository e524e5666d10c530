package io.tsp.scheme;

/** What the backward pass computes again instead of keeping it (arXiv 2205.05198, section 5). */
public enum Recompute {
    /**
     * Nothing that one rank computes. Besides what {@link #SELECTIVE} keeps, each layer keeps, of the rank's own tokens:
     * both sub-layers' inputs, normed; queries, keys and values as attention reads them, and before the norms of heads if
     * the model has them; the MLP's gate and up before silu, in the activations' dtype, of all features that the rank's
     * products see: its shard's, or all where weights travel or are gathered. What comes from other ranks is not kept, and
     * travels again: weights, gathered keys and values, rows of a region, tokens exchanged for heads. Nor are logits.
     *
     * <p>In f32 gradients are those of the others bit for bit. In bf16 gate and up are rounded when they are kept, and
     * the others never round them.
     */
    NONE,
    /** All but attention: its output and log-sum-exp are kept, so the quadratic part runs once. */
    SELECTIVE,
    /** All but the residual stream: a checkpoint for each sub-layer. */
    FULL;

    boolean keepsAttention() {
        return this != FULL;
    }

    boolean keepsAll() {
        return this == NONE;
    }
}
