package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.RmsNorm;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** RMSNorm after a residual addition, and of the heads of queries inside a wider projection. */
final class RmsNormCases {
    private static final int[] SIZES = {1, 2, 7, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 1021, 4096};
    private static final float EPSILON = 1e-5f;

    /** Where x + delta goes. */
    private enum Sum {
        NONE,
        OTHER,
        X
    }

    private record Shape(DType dtype, @Nullable DType delta, Sum sum, boolean outIsX, int rows, int n, Layout layout) {}

    private RmsNormCases() {}

    /** Rows of more than 32 MiB, which are written past the caches. */
    static Stream<Case> large() {
        return Stream.of(
                        new Shape(DType.F32, null, Sum.NONE, false, 2053, 4111, Layout.DENSE),
                        new Shape(DType.F32, DType.F32, Sum.X, false, 2053, 4111, Layout.PADDED),
                        new Shape(DType.BF16, DType.F32, Sum.OTHER, false, 4111, 4111, Layout.MISALIGNED))
                .map(shape -> new Case(shape.toString(), trial -> setUp(trial, shape)));
    }

    static Stream<Case> everyday() {
        return Stream.concat(
                Stream.of(DType.F32, DType.BF16)
                        .flatMap(dtype -> IntStream.of(SIZES).boxed().flatMap(n -> shapes(dtype, n)))
                        .map(shape -> new Case(shape.toString(), trial -> setUp(trial, shape))),
                Stream.of(DType.F32, DType.BF16)
                        .flatMap(dtype -> IntStream.of(8, 24, 64, 128)
                                .mapToObj(headDim -> new Case(
                                        "heads of " + headDim + " in a row, " + dtype,
                                        trial -> perHead(trial, dtype, headDim)))));
    }

    private static Stream<Shape> shapes(DType dtype, int n) {
        int rows = n > 1000 ? 5 : n % 2 == 0 ? 64 : 13;
        return Stream.of(
                new Shape(dtype, null, Sum.NONE, false, rows, n, Layout.DENSE),
                new Shape(dtype, null, Sum.NONE, true, rows, n, Layout.PADDED),
                new Shape(dtype, null, Sum.OTHER, false, 1, n, Layout.MISALIGNED),
                new Shape(dtype, dtype, Sum.NONE, false, rows, n, Layout.PADDED),
                new Shape(dtype, dtype, Sum.OTHER, false, rows, n, Layout.MISALIGNED),
                new Shape(dtype, DType.F32, Sum.X, false, rows, n, Layout.PADDED),
                new Shape(dtype, DType.F32, Sum.OTHER, false, rows, n, Layout.DENSE),
                new Shape(dtype, DType.F32, Sum.X, false, 0, n, Layout.DENSE));
    }

    private static void setUp(Trial trial, Shape shape) {
        Layout layout = shape.layout;
        Tensor x = trial.update("x", shape.dtype, 1, layout, shape.rows, shape.n);
        Tensor delta = shape.delta == null ? null : trial.input("delta", shape.delta, 1, layout, shape.rows, shape.n);
        Tensor weight = trial.input("weight", shape.dtype, 1, new Layout(layout.offset(), 0), shape.n);
        Tensor sum = switch (shape.sum) {
            case NONE -> null;
            case OTHER -> trial.output("sum", shape.dtype, layout, shape.rows, shape.n);
            case X -> x;
        };
        judge(
                trial,
                new RmsNorm(
                        x,
                        delta,
                        weight,
                        sum,
                        shape.outIsX ? x : trial.output("out", shape.dtype, layout, shape.rows, shape.n),
                        EPSILON));
    }

    /** Norms of some heads of each row, in place; the heads beside them must stay. */
    private static void perHead(Trial trial, DType dtype, int headDim) {
        Tensor projection = trial.update("projection", dtype, 1, Layout.PADDED, 67, 9, headDim);
        Tensor queries = projection.slice(1, 2, 5);
        Tensor weight = trial.input("weight", dtype, 1, Layout.MISALIGNED, headDim);
        judge(trial, new RmsNorm(queries, null, weight, null, queries, 1e-6f));
    }

    private static void judge(Trial trial, RmsNorm op) {
        Tensor delta = op.delta();
        Tensor sum = op.sum();
        double[] x = trial.get(op.x());
        RmsNormReference reference = new RmsNormReference(
                x,
                delta == null ? new double[x.length] : trial.get(delta),
                trial.get(op.weight()),
                Math.toIntExact(op.x().shape().last()),
                sum != null,
                op.epsilon(),
                Precision.of(op.x().dtype()));
        trial.run(op);
        if (sum != null) {
            trial.expect(sum, Bounds.exactly(reference.sum()));
        }
        trial.expect(op.out(), reference.out());
    }
}
