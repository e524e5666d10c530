package io.tsp.cost;

import java.util.List;

/**
 * A way to bring each member's part to all members of a group. Backwards, with a sum on the way, it is a
 * reduce-scatter; with one part it is a broadcast, or a reduction to one rank. Transfers are pipelined: what counts is
 * the link with most bytes, and the number of messages that follow each other.
 */
public enum Transport {
    /** Everyone sends its part to everyone else: one step, as many messages as peers. */
    DIRECT,
    /** Each part goes from neighbour to neighbour: one link of each rank is used, in as many steps as peers. */
    RING,
    /** In step s each rank passes on what it has to the rank 2^s before it (Bruck et al. 1997): log2 n steps. */
    RECURSIVE,
    /** One part only: cut into pieces, a piece to each peer, who passes it on to the others. Uses every link. */
    SCATTERED,
    /** First between ranks with the same place in their nodes, then inside the nodes: each card sees a part once. */
    RAILS;

    /** Collectives that can be done in several ways, as profiles call them. */
    public static final List<String> COLLECTIVES = List.of("broadcast", "all-gather", "reduce-scatter", "all-reduce");
}
