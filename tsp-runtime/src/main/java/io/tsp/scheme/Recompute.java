package io.tsp.scheme;

/** What the backward pass computes again instead of keeping it (arXiv 2205.05198, section 5). */
public enum Recompute {
    /**
     * No projection and no norm of a layer. The kernels still make attention's scores again from the log-sum-exp, as flash
     * attention does, and silu(gate) up element by element.
     *
     * <p>Besides what {@link #SELECTIVE} keeps, each layer keeps, of the tokens whose queries the rank computes: both
     * sub-layers' inputs, normed (with regions, the region's rows); queries, keys and values as attention reads them, and
     * queries and keys before the norms of heads if the model has these; the MLP's gate and up before silu, in the
     * activations' dtype, of all features that come by: its shard's, or all where weights travel or are gathered.
     *
     * <p>What comes from other ranks is not kept and travels again: weights, gathered keys and values, other regions'
     * rows, tokens exchanged for heads. Logits are computed again, as always.
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
