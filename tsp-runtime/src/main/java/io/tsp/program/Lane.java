package io.tsp.program;

/** Logical queues of a program. A lane runs in program order; lanes may overlap where operands allow it. */
public enum Lane {
    COMPUTE,
    /** Weight shards on their way. */
    WEIGHTS,
    /** Keys, values and other activations between ranks. */
    KV,
    /** Gradients on their way to owners. */
    GRADS,
    /** Results and snapshots. */
    COPY
}
