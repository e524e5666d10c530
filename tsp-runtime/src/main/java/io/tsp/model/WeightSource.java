package io.tsp.model;

import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;

/** Where weights come from, by Hugging Face tensor name: files of a model directory, or a seed. */
public interface WeightSource extends AutoCloseable {
    /**
     * The shape of a tensor, rank 1 or 2.
     *
     * @throws ModelException if there is no tensor of this name
     */
    Shape shape(String name);

    /**
     * Reads a block of a matrix (a vector counts as one column: [n] is [n, 1]) as dense rows.
     *
     * @param dtype F32 or BF16; values are cast to it, rounding to nearest even
     * @param target little-endian; receives rowCount * columnCount elements from its position on, and is advanced
     * @throws ModelException if there is no such tensor, the block lies outside it, or its file cannot be read
     */
    void read(
            String name,
            long firstRow,
            long rowCount,
            long firstColumn,
            long columnCount,
            DType dtype,
            ByteBuffer target);

    @Override
    void close();
}
