package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.Copy;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/** Copies of any shape and strides, and casts: every bit is known. */
final class CopyCases {
    private static final DType[][] CASTS = {
        {DType.F32, DType.F32},
        {DType.BF16, DType.BF16},
        {DType.F32, DType.BF16},
        {DType.BF16, DType.F32},
        {DType.I32, DType.I32},
    };
    private static final long[][] SHAPES = {
        {1},
        {15},
        {16},
        {17},
        {4099},
        {0},
        {1, 1},
        {7, 33},
        {64, 64},
        {65, 63},
        {3, 0},
        {5, 3, 24},
        {2, 3, 5, 7},
        {3, 2, 17, 64},
        {40, 8, 4, 65},
    };

    /** Ties of bf16 to both sides, what rounds to infinity, infinities, NaN, zeros of both signs, subnormals. */
    private static final float[] SPECIAL = {
        Float.intBitsToFloat(0x3F808000),
        Float.intBitsToFloat(0x3F818000),
        Float.intBitsToFloat(0xBF808001),
        Float.intBitsToFloat(0x3F807FFF),
        Float.MAX_VALUE,
        -Float.MAX_VALUE,
        Float.intBitsToFloat(0x7F7F7FFF),
        Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY,
        Float.NaN,
        Float.intBitsToFloat(0x7F800001),
        0f,
        -0f,
        Float.MIN_VALUE,
        -Float.MIN_VALUE,
        Float.MIN_NORMAL,
        Float.intBitsToFloat(0x00008000),
        Float.intBitsToFloat(0x00018000),
        Float.intBitsToFloat(0x807FFFFF),
    };

    private CopyCases() {}

    static Stream<Case> everyday() {
        return Stream.of(CASTS).flatMap(cast -> Stream.of(SHAPES).flatMap(shape -> cases(cast, shape)));
    }

    /** Targets of more than 32 MiB, which are written past the caches. */
    static Stream<Case> large() {
        return Stream.concat(
                cases(new DType[] {DType.F32, DType.F32}, new long[] {2053, 4111})
                        .limit(3),
                cases(new DType[] {DType.F32, DType.BF16}, new long[] {4111, 4111})
                        .skip(2));
    }

    private static Stream<Case> cases(DType[] cast, long[] shape) {
        return Stream.of(
                        List.of(Layout.DENSE, Layout.DENSE),
                        List.of(Layout.MISALIGNED, Layout.DENSE),
                        List.of(Layout.PADDED, Layout.MISALIGNED),
                        List.of(Layout.DENSE, Layout.PADDED))
                .map(layouts -> new Case(
                        cast[0] + " to " + cast[1] + " " + Arrays.toString(shape) + " " + layouts,
                        trial -> setUp(trial, cast, shape, layouts)));
    }

    private static void setUp(Trial trial, DType[] cast, long[] shape, List<Layout> layouts) {
        Tensor source = trial.input("source", cast[0], 1000, layouts.get(0), shape);
        double[] values = trial.get(source);
        for (int i = 0; i < Math.min(values.length, SPECIAL.length) && cast[0] != DType.I32; i++) {
            values[values.length - 1 - i] = SPECIAL[i];
        }
        trial.set(source, values);
        double[] expected = trial.get(source);
        for (int i = 0; i < expected.length && cast[1] == DType.BF16; i++) {
            expected[i] = Precision.BF16.store(expected[i]);
        }
        Tensor target = trial.output("target", cast[1], layouts.get(1), shape);
        trial.run(new Copy(source, target));
        trial.expect(target, Bounds.exactly(expected));
    }
}
