package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.Gemm.Form;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.Locale;
import java.util.stream.Stream;

/** Matrix products as a block asks for them; what the vendor's library does with its own variants is its business. */
final class GemmCases {
    /** M, N, K. */
    private static final int[][] SIZES = {
        {1, 1, 1},
        {1, 97, 48},
        {7, 1, 64},
        {63, 65, 31},
        {64, 64, 64},
        {65, 63, 127},
        {203, 96, 257},
        {5, 7, 0},
        {0, 7, 3},
        {5, 0, 3},
    };

    private static final int[][] LARGE = {{1021, 513, 768}, {2, 4096, 1023}, {128, 1031, 4096}};

    private enum Kind {
        PLAIN,
        BIAS,
        ACCUMULATE
    }

    private GemmCases() {}

    static Stream<Case> everyday() {
        return cases(Stream.of(SIZES));
    }

    static Stream<Case> large() {
        return cases(Stream.of(LARGE));
    }

    private static Stream<Case> cases(Stream<int[]> sizes) {
        return sizes.flatMap(size -> Stream.of(Form.values())
                .flatMap(form -> Stream.of(Kind.values())
                        .filter(kind -> kind != Kind.BIAS || form == Form.NT)
                        .flatMap(kind -> Stream.of(
                                        new DType[] {DType.F32, DType.F32},
                                        new DType[] {DType.BF16, DType.F32},
                                        new DType[] {DType.BF16, DType.BF16})
                                .filter(dtypes -> kind != Kind.ACCUMULATE || dtypes[1] == DType.F32)
                                .flatMap(dtypes -> Stream.of(Layout.DENSE, Layout.PADDED)
                                        .map(layout -> new Case(
                                                String.format(
                                                        Locale.ROOT,
                                                        "%s %s M=%d N=%d K=%d %s to %s, %s",
                                                        form,
                                                        kind,
                                                        size[0],
                                                        size[1],
                                                        size[2],
                                                        dtypes[0],
                                                        dtypes[1],
                                                        layout),
                                                trial -> setUp(trial, form, kind, size, dtypes, layout)))))));
    }

    private static void setUp(Trial trial, Form form, Kind kind, int[] size, DType[] dtypes, Layout layout) {
        int rows = size[0];
        int columns = size[1];
        int depth = size[2];
        double scale = 1 / Math.sqrt(Math.max(1, depth));
        boolean aStands = form != Form.TN;
        boolean bStands = form == Form.NT;
        Tensor a = trial.input("a", dtypes[0], 1, layout, aStands ? rows : depth, aStands ? depth : rows);
        Tensor b = trial.input("b", dtypes[0], scale, layout, bStands ? columns : depth, bStands ? depth : columns);
        Tensor bias = kind == Kind.BIAS ? trial.input("bias", dtypes[0], 1, Layout.MISALIGNED, columns) : null;
        boolean accumulate = kind == Kind.ACCUMULATE;
        Tensor out = accumulate
                ? trial.update("out", dtypes[1], 1, layout, rows, columns)
                : trial.output("out", dtypes[1], layout, rows, columns);
        trial.run(new Gemm(form, a, b, bias, out, accumulate));
        Precision stored = Precision.of(dtypes[1]);
        Trial.Reference reference = (values, precision) -> GemmReference.product(
                aStands ? values.apply(a) : GemmReference.transposed(values.apply(a), rows),
                bStands ? values.apply(b) : GemmReference.transposed(values.apply(b), columns),
                bias == null ? new double[columns] : values.apply(bias),
                accumulate ? values.apply(out) : new double[rows * columns],
                depth,
                precision,
                precision == Precision.EXACT ? precision : stored);
        trial.expect(out, trial.like(reference, Precision.of(dtypes[0]), stored));
    }
}
