package io.tsp.model;

import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A rectangle of a matrix, as {@link WeightSource#read} takes it; the checks that every source owes its caller. */
public record WeightBlock(long firstRow, long rowCount, long firstColumn, long columnCount) {
    /** Refuses a block that does not lie inside a tensor of this shape (a vector [n] counts as [n, 1]). */
    public void requireInside(String name, Shape shape) {
        long rows = shape.dim(0);
        long columns = shape.rank() == 1 ? 1 : shape.last();
        if (!within(firstRow, rowCount, rows) || !within(firstColumn, columnCount, columns)) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    "rows " + firstRow + " to " + (firstRow + rowCount) + ", columns " + firstColumn + " to "
                            + (firstColumn + columnCount) + " were asked of " + name + ", which has shape " + shape
                            + ": the model is not the one that was planned for");
        }
    }

    private static boolean within(long first, long count, long size) {
        return first >= 0 && count >= 0 && count <= size && first <= size - count;
    }

    /**
     * The part of target that the block fills, little-endian; target is advanced past it.
     *
     * @throws IllegalArgumentException if dtype is not a weight's or target is too small
     */
    public ByteBuffer claim(ByteBuffer target, DType dtype) {
        if (dtype != DType.F32 && dtype != DType.BF16) {
            throw new IllegalArgumentException("weights are read as F32 or BF16, not as " + dtype);
        }
        long bytes = Math.multiplyExact(Math.multiplyExact(rowCount, columnCount), dtype.bytes());
        if (bytes > target.remaining()) {
            throw new IllegalArgumentException(
                    "the block needs " + bytes + " bytes but the target has room for " + target.remaining());
        }
        int start = target.position();
        target.position(start + (int) bytes);
        return target.slice(start, (int) bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
