package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** Operands of one product in native memory, and the same product in float64. */
final class MatmulCase {
    private static final double GUARD = 1.0e30;
    private static final double F32_ROUNDING = 0x1p-24;
    private static final double BF16_ROUNDING = 0x1p-8;

    private final MatmulSpec spec;
    private final Operand src;
    private final Operand weights;
    private final Operand bias;
    private final Operand dst;
    private final double[][] before;
    private final MemorySegment scratchpad;

    /** With operands off every alignment but their element's own. */
    MatmulCase(MatmulSpec spec, long scratchpadBytes, Arena arena, long seed) {
        this(spec, scratchpadBytes, arena, seed, 1);
    }

    /** @param alignment bytes on which operands lie, and not on twice as many; at least an element's */
    MatmulCase(MatmulSpec spec, long scratchpadBytes, Arena arena, long seed, int alignment) {
        this.spec = spec;
        Random random = new Random(seed);
        src = new Operand(spec.src(), spec.m(), spec.k(), arena, random, alignment);
        weights = new Operand(spec.weights(), spec.k(), spec.n(), arena, random, alignment);
        Dtype biasDtype = spec.bias() == Bias.BF16 ? Dtype.BF16 : Dtype.F32;
        bias = new Operand(Matrix.of(biasDtype, Math.max(1, spec.n())), 1, spec.n(), arena, random, alignment);
        dst = new Operand(spec.dst(), spec.m(), spec.n(), arena, random, alignment);
        before = new double[(int) spec.m()][(int) spec.n()];
        for (int i = 0; i < spec.m(); i++) {
            for (int j = 0; j < spec.n(); j++) {
                before[i][j] = dst.get(i, j);
            }
        }
        scratchpad = arena.allocate(Math.max(1, scratchpadBytes), 256);
        // NaN in both dtypes: nobody may take it for zeros.
        scratchpad.fill((byte) 0xff);
    }

    void execute(Matmul matmul) {
        matmul.execute(src.address(), weights.address(), bias.address(), dst.address(), scratchpad.address());
    }

    void execute(GpuMatmul matmul) {
        matmul.execute(src.address(), weights.address(), bias.address(), dst.address(), scratchpad.address(), 0);
    }

    MemorySegment result() {
        return dst.segment;
    }

    void assertCorrect() {
        for (int i = 0; i < spec.m(); i++) {
            for (int j = 0; j < spec.n(); j++) {
                assertCorrect(i, j);
            }
        }
        dst.assertGuards();
    }

    private void assertCorrect(int i, int j) {
        double sum = spec.accumulate() ? before[i][j] : 0;
        double magnitude = Math.abs(sum);
        for (int p = 0; p < spec.k(); p++) {
            double product = src.get(i, p) * weights.get(p, j);
            sum += product;
            magnitude += Math.abs(product);
        }
        if (spec.bias() != Bias.NONE) {
            sum += bias.get(0, j);
            magnitude += Math.abs(bias.get(0, j));
        }
        double bound = (spec.k() + 2) * F32_ROUNDING * magnitude;
        if (spec.dst().dtype() == Dtype.BF16) {
            bound += BF16_ROUNDING * Math.abs(sum);
        }
        double actual = dst.get(i, j);
        double expected = sum;
        double allowed = bound;
        assertTrue(
                Math.abs(actual - sum) <= bound,
                () -> spec + " at [" + i + ", " + j + "]: " + actual + ", expected " + expected + " within " + allowed);
    }

    /** A matrix of values in [-1, 1) whose padding holds guards. */
    private static final class Operand {
        private final MemorySegment segment;
        private final Matrix matrix;
        private final long rows;
        private final long columns;
        /** Elements before the matrix, as many as behind it. */
        private final long first;

        Operand(Matrix matrix, long rows, long columns, Arena arena, Random random, int alignment) {
            first = Math.max(1, alignment / matrix.dtype().bytes());
            this.matrix = matrix;
            this.rows = rows;
            this.columns = columns;
            long stored = Math.max(1, matrix.transposed() ? columns : rows);
            long elements = stored * matrix.leadingStride() + 2 * first;
            segment = arena.allocate(elements * matrix.dtype().bytes(), 64);
            for (long e = 0; e < elements; e++) {
                set(e, GUARD);
            }
            for (long i = 0; i < rows; i++) {
                for (long j = 0; j < columns; j++) {
                    set(element(i, j), 2 * random.nextDouble() - 1);
                }
            }
        }

        long address() {
            return segment.address() + first * matrix.dtype().bytes();
        }

        double get(long i, long j) {
            return read(element(i, j));
        }

        void assertGuards() {
            long elements = segment.byteSize() / matrix.dtype().bytes();
            for (long e = 0; e < elements; e++) {
                long row = Math.floorDiv(e - first, matrix.leadingStride());
                long column = Math.floorMod(e - first, matrix.leadingStride());
                if (row < 0 || row >= rows || column >= columns) {
                    long at = e;
                    assertEquals((double) rounded(GUARD), read(e), () -> "padding written at element " + at);
                }
            }
        }

        private long element(long i, long j) {
            long ld = matrix.leadingStride();
            return first + (matrix.transposed() ? j * ld + i : i * ld + j);
        }

        private double read(long element) {
            return switch (matrix.dtype()) {
                case F32 -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, element);
                case BF16 -> Float.intBitsToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, element) << 16);
            };
        }

        private void set(long element, double value) {
            switch (matrix.dtype()) {
                case F32 -> segment.setAtIndex(ValueLayout.JAVA_FLOAT, element, (float) value);
                case BF16 ->
                    segment.setAtIndex(
                            ValueLayout.JAVA_SHORT, element, (short) (Float.floatToRawIntBits((float) value) >>> 16));
            }
        }

        private float rounded(double value) {
            return matrix.dtype() == Dtype.F32
                    ? (float) value
                    : Float.intBitsToFloat(Float.floatToRawIntBits((float) value) & 0xFFFF0000);
        }
    }
}
