package io.tsp.device.conformance;

import io.tsp.op.TrainingOp.RmsNormBackward;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Gradients of RMSNorm: of the residual stream, which they are added to, and of the heads of queries. */
final class RmsNormBackwardCases {
    private static final int[] SIZES = {1, 2, 7, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 1021, 4096};
    /** Four rows are read together; parts of a sum have 127 rows of as many columns. */
    private static final int[] ROWS = {1, 2, 3, 4, 5, 126, 127, 128, 397};

    private static final int COLUMNS = 129;

    private static final List<DType> DTYPES = List.of(DType.F32, DType.BF16);
    private static final float EPSILON = 1e-5f;

    /** Where dX goes. */
    private enum Place {
        OTHER,
        DOUT,
        ADDED
    }

    private record Shape(
            DType dtype,
            DType dOut,
            DType dX,
            Place place,
            boolean rounded,
            boolean addWeight,
            int rows,
            int n,
            double deviation,
            Layout layout) {
        Case toCase() {
            return new Case(toString(), trial -> setUp(trial, this));
        }
    }

    private RmsNormBackwardCases() {}

    /** Rows of more than 32 MiB, which are written past the caches. */
    static Stream<Case> large() {
        return Stream.of(
                        new Shape(
                                DType.F32, DType.F32, DType.F32, Place.OTHER, true, false, 2053, 4111, 1, Layout.DENSE),
                        new Shape(
                                DType.F32, DType.F32, DType.F32, Place.ADDED, true, true, 2053, 4111, 1, Layout.PADDED),
                        new Shape(
                                DType.BF16,
                                DType.F32,
                                DType.F32,
                                Place.OTHER,
                                true,
                                false,
                                4111,
                                4096,
                                1,
                                Layout.DENSE),
                        new Shape(
                                DType.BF16,
                                DType.BF16,
                                DType.BF16,
                                Place.DOUT,
                                false,
                                true,
                                4111,
                                4111,
                                1,
                                Layout.DENSE))
                .map(Shape::toCase);
    }

    static Stream<Case> everyday() {
        return Stream.of(
                        IntStream.of(SIZES)
                                .boxed()
                                .flatMap(n -> shapes(n > 1000 ? 5 : n % 2 == 0 ? 64 : 13, n))
                                .map(Shape::toCase),
                        IntStream.of(ROWS)
                                .boxed()
                                .flatMap(rows -> shapes(rows, COLUMNS))
                                .map(Shape::toCase),
                        shapes(0, 17).map(Shape::toCase),
                        DTYPES.stream()
                                .flatMap(dtype -> DoubleStream.of(0, 1e-3, 1e3)
                                        .mapToObj(deviation -> new Shape(
                                                        dtype,
                                                        DType.F32,
                                                        DType.F32,
                                                        Place.OTHER,
                                                        true,
                                                        false,
                                                        65,
                                                        67,
                                                        deviation,
                                                        Layout.PADDED)
                                                .toCase())),
                        DTYPES.stream()
                                .flatMap(dtype -> IntStream.of(8, 24, 64, 128)
                                        .boxed()
                                        .flatMap(headDim -> Stream.of(false, true)
                                                .map(inPlace -> new Case(
                                                        "heads of " + headDim + " in a row, " + dtype
                                                                + (inPlace ? " in place" : " added"),
                                                        trial -> perHead(trial, dtype, headDim, inPlace))))))
                .flatMap(cases -> cases);
    }

    private static Stream<Shape> shapes(int rows, int n) {
        DType f32 = DType.F32;
        DType bf16 = DType.BF16;
        return Stream.of(
                new Shape(f32, f32, f32, Place.OTHER, false, false, rows, n, 1, Layout.DENSE),
                new Shape(f32, f32, f32, Place.DOUT, true, true, rows, n, 1, Layout.PADDED),
                new Shape(f32, f32, f32, Place.ADDED, true, false, rows, n, 1, Layout.MISALIGNED),
                new Shape(bf16, f32, f32, Place.ADDED, true, true, rows, n, 1, Layout.PADDED),
                new Shape(bf16, f32, f32, Place.DOUT, false, false, rows, n, 1, Layout.DENSE),
                new Shape(bf16, f32, bf16, Place.OTHER, true, false, rows, n, 1, Layout.MISALIGNED),
                new Shape(bf16, bf16, f32, Place.ADDED, false, true, rows, n, 1, Layout.PADDED),
                new Shape(bf16, bf16, f32, Place.OTHER, true, false, rows, n, 1, Layout.DENSE),
                new Shape(bf16, bf16, bf16, Place.OTHER, true, true, rows, n, 1, Layout.PADDED),
                new Shape(bf16, bf16, bf16, Place.DOUT, false, false, rows, n, 1, Layout.PADDED));
    }

    private static void setUp(Trial trial, Shape shape) {
        Layout layout = shape.layout;
        Tensor x = trial.input("x", shape.dtype, shape.deviation, layout, shape.rows, shape.n);
        Tensor dOut = shape.place == Place.DOUT
                ? trial.update("dOut", shape.dOut, 1, layout, shape.rows, shape.n)
                : trial.input("dOut", shape.dOut, 1, layout, shape.rows, shape.n);
        Tensor dX = switch (shape.place) {
            case OTHER -> trial.output("dX", shape.dX, layout, shape.rows, shape.n);
            case DOUT -> dOut;
            case ADDED -> trial.update("dX", shape.dX, 1, layout, shape.rows, shape.n);
        };
        judge(
                trial,
                new RmsNormBackward(
                        x,
                        weight(trial, shape.dtype, layout, shape.n),
                        dOut,
                        dX,
                        shape.rounded ? trial.output("rounded", shape.dtype, layout, shape.rows, shape.n) : null,
                        dWeight(trial, shape.addWeight, layout, shape.n),
                        EPSILON,
                        shape.place == Place.ADDED,
                        shape.addWeight));
    }

    /** Some heads of each row; what stands beside them must stay. */
    private static void perHead(Trial trial, DType dtype, int headDim, boolean inPlace) {
        Tensor projection = trial.input("projection", dtype, 1, Layout.PADDED, 67, 9, headDim);
        DType gradient = inPlace ? dtype : DType.F32;
        Tensor dProjection = trial.update("gradient", gradient, 1, Layout.PADDED, 67, 9, headDim);
        Tensor dX = dProjection.slice(1, 2, 5);
        judge(
                trial,
                new RmsNormBackward(
                        projection.slice(1, 2, 5),
                        weight(trial, dtype, Layout.MISALIGNED, headDim),
                        inPlace ? dX : trial.input("dOut", dtype, 1, Layout.MISALIGNED, 67, 5, headDim),
                        dX,
                        inPlace
                                ? null
                                : trial.output("rounded", dtype, Layout.PADDED, 67, 8, headDim)
                                        .slice(1, 1, 5),
                        dWeight(trial, inPlace, Layout.MISALIGNED, headDim),
                        1e-6f,
                        !inPlace,
                        inPlace));
    }

    private static Tensor weight(Trial trial, DType dtype, Layout layout, int n) {
        return trial.input("weight", dtype, 1, new Layout(layout.offset(), 0), n);
    }

    private static Tensor dWeight(Trial trial, boolean add, Layout layout, int n) {
        Layout dense = new Layout(layout.offset(), 0);
        return add ? trial.update("dWeight", DType.F32, 1, dense, n) : trial.output("dWeight", DType.F32, dense, n);
    }

    /** Values are rounded once, when they are stored. */
    private static void judge(Trial trial, RmsNormBackward op) {
        trial.run(op);
        int count = Math.toIntExact(op.x().count());
        int n = Math.toIntExact(op.x().shape().last());
        List<Bounds> bounds = trial.like(
                (values, rounding) -> new RmsNormBackwardReference(
                                values.apply(op.x()), values.apply(op.weight()), values.apply(op.dOut()), op.epsilon())
                        .gradients(
                                op.accumulate() ? values.apply(op.dX()) : new double[count],
                                op.accumulateWeight() ? values.apply(op.dWeight()) : new double[n],
                                rounding),
                Precision.F32,
                List.of(Precision.F32, Precision.F32),
                Trial.FAIR_NUMBER);
        trial.expect(op.dX(), bounds.get(0).stored(Precision.of(op.dX().dtype())));
        Tensor rounded = op.rounded();
        if (rounded != null) {
            trial.expect(rounded, bounds.get(0).stored(Precision.of(rounded.dtype())));
        }
        trial.expect(op.dWeight(), bounds.get(1));
    }
}
