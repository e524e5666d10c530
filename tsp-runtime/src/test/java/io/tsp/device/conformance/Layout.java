package io.tsp.device.conformance;

import io.tsp.tensor.Shape;

/**
 * How an operand lies in its memory.
 *
 * @param offset elements before the first one: 1 gives no more alignment than that of one element
 * @param padding elements behind each row of the last dimension
 */
record Layout(long offset, long padding) {
    static final Layout DENSE = new Layout(0, 0);
    static final Layout MISALIGNED = new Layout(1, 0);
    static final Layout PADDED = new Layout(1, 3);

    Shape strides(long... dims) {
        long[] strides = new long[dims.length];
        long stride = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= Math.max(1, dims[i]) + (i == dims.length - 1 ? padding : 0);
        }
        return Shape.of(strides);
    }
}
