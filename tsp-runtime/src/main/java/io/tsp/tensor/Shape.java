package io.tsp.tensor;

import java.util.Arrays;

/** Dims of a tensor, outermost first; at most four, none negative. */
public final class Shape {
    /** The kernel ABI's limit. */
    public static final int MAX_RANK = 4;

    private final long[] dims;

    private Shape(long[] dims) {
        this.dims = dims;
    }

    public static Shape of(long... dims) {
        if (dims.length == 0 || dims.length > MAX_RANK) {
            throw new IllegalArgumentException("a shape has 1 to " + MAX_RANK + " dims, got " + Arrays.toString(dims));
        }
        for (long dim : dims) {
            if (dim < 0) {
                throw new IllegalArgumentException("a dim cannot be negative: " + Arrays.toString(dims));
            }
        }
        return new Shape(dims.clone());
    }

    public int rank() {
        return dims.length;
    }

    public long dim(int index) {
        return dims[index];
    }

    public long last() {
        return dims[dims.length - 1];
    }

    /** Number of elements. */
    public long count() {
        long count = 1;
        for (long dim : dims) {
            count = Math.multiplyExact(count, dim);
        }
        return count;
    }

    /** The same shape with another size of one dim. */
    Shape with(int index, long dim) {
        long[] copy = dims.clone();
        copy[index] = dim;
        return of(copy);
    }

    /** Strides of a dense row-major tensor of this shape, in elements. */
    Shape denseStrides() {
        long[] strides = new long[dims.length];
        long stride = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride = Math.multiplyExact(stride, Math.max(1, dims[i]));
        }
        return new Shape(strides);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Shape shape && Arrays.equals(dims, shape.dims);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(dims);
    }

    @Override
    public String toString() {
        return Arrays.toString(dims);
    }
}
