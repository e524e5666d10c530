package io.tsp.scheme;

/** What the backward pass computes again instead of keeping it (arXiv 2205.05198, section 5). */
public enum Recompute {
    /** All but attention: its output and log-sum-exp are kept, so the quadratic part runs once. */
    SELECTIVE,
    /** All but the residual stream: a checkpoint for each sub-layer. */
    FULL;

    boolean keepsAttention() {
        return this != FULL;
    }
}
