package io.tsp.checkpoint.sharded;

import io.tsp.model.Parameter.Block;
import java.nio.ByteBuffer;
import java.util.List;

/** What one rank owns, read while it is written. */
public interface RankState {
    /** From 0 up. */
    int rank();

    /** The blocks that this rank and no other owns; empty ones are passed over, and there may be none. */
    List<Block> blocks();

    /**
     * Reads rows of a block, dense.
     *
     * @param kind parameters are f32, moments have the dtype that {@link CheckpointInfo#moments} says
     * @param firstRow counted from the block's first row
     * @param target receives exactly rows * columns elements, little-endian, from its position on, and is filled by
     *     them
     */
    void read(Kind kind, Block block, long firstRow, long rows, ByteBuffer target);
}
