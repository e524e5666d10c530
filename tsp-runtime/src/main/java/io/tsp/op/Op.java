package io.tsp.op;

import java.util.List;

/** One unit of work in a program. Immutable; what changes between steps is the contents of its operands. */
public sealed interface Op permits ComputeOp, CommunicationOp {

    /** What kind of work this is, in the glossary's words, such as {@code all-gather}. */
    String name();

    /** Every operand and how it is used. Hazards, events between lanes and lifetimes all follow from this. */
    List<Access> accesses();

    /** Whether running this op would change nothing, because its outputs have no elements. */
    default boolean isEmpty() {
        return accesses().stream()
                .allMatch(access -> !access.mode().writes() || access.tensor().isEmpty());
    }
}
