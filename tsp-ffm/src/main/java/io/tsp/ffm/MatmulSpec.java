package io.tsp.ffm;

/**
 * One matrix product: {@code dst [M, N] (+)= src [M, K] weights [K, N] (+ bias [N])}, products accumulated in fp32.
 *
 * @param m rows of src and dst
 * @param n columns of weights and dst
 * @param k the dimension that is summed
 * @param accumulate add to dst (which is f32 then) instead of overwriting it
 */
public record MatmulSpec(
        long m, long n, long k, Matrix src, Matrix weights, Bias bias, Matrix dst, boolean accumulate) {
    public MatmulSpec {
        if (m < 0 || n < 0 || k < 0) {
            throw new IllegalArgumentException(
                    "A matrix product needs sizes of zero or more, got M " + m + ", N " + n + ", K " + k);
        }
        requireRows("src", src, m, k);
        requireRows("weights", weights, k, n);
        requireRows("dst", dst, m, n);
        if (src.dtype() != weights.dtype()) {
            throw new IllegalArgumentException(
                    "src and weights need one dtype, got " + src.dtype() + " and " + weights.dtype());
        }
        if (accumulate && dst.dtype() != Dtype.F32) {
            throw new IllegalArgumentException("Only an f32 dst can accumulate, got " + dst.dtype());
        }
    }

    /** A product with K = 1 that has the result of this one with K = 0, if src and weights are all zero. */
    MatmulSpec overZeros() {
        Matrix column = Matrix.of(src.dtype(), 1);
        Matrix row = Matrix.of(weights.dtype(), Math.max(1, n));
        return new MatmulSpec(m, n, 1, column, row, bias, dst, accumulate);
    }

    /** Bytes of zeros that serve {@link #overZeros} as src and as weights. */
    long zeroBytes() {
        return Math.max(m * src.dtype().bytes(), n * weights.dtype().bytes());
    }

    private static void requireRows(String name, Matrix matrix, long rows, long columns) {
        long inner = matrix.transposed() ? rows : columns;
        if (matrix.leadingStride() < Math.max(1, inner)) {
            throw new IllegalArgumentException("The stored rows of " + name + " hold " + inner
                    + " elements, but its leading stride is " + matrix.leadingStride());
        }
    }

    /** Element types of matrices. */
    public enum Dtype {
        F32(Float.BYTES),
        BF16(Short.BYTES);

        private final int bytes;

        Dtype(int bytes) {
            this.bytes = bytes;
        }

        /** Bytes of one element. */
        public int bytes() {
            return bytes;
        }
    }

    /** The vector added to every row of the result. */
    public enum Bias {
        NONE,
        F32,
        BF16
    }

    /**
     * How a matrix lies in memory.
     *
     * @param leadingStride elements from one stored row to the next
     * @param transposed true if the stored rows are the matrix's columns, as in a weight [out, in]
     */
    public record Matrix(Dtype dtype, long leadingStride, boolean transposed) {
        public static Matrix of(Dtype dtype, long leadingStride) {
            return new Matrix(dtype, leadingStride, false);
        }

        public static Matrix transposed(Dtype dtype, long leadingStride) {
            return new Matrix(dtype, leadingStride, true);
        }
    }
}
