package io.tsp.device.conformance;

import io.tsp.op.TrainingOp.ColumnSum;
import io.tsp.op.TrainingOp.SquareSum;
import io.tsp.op.TrainingOp.Sum;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Sums of tensors, whose every bit is specified, of columns and of squares. */
final class SumCases {
    private static final List<DType> DTYPES = List.of(DType.F32, DType.BF16);
    private static final int[] COUNTS = {0, 1, 2, 15, 16, 17, 63, 64, 65, 1021, 16_383, 16_384, 16_385, 40_009};

    /** Rows and columns. With 129 columns, parts of a sum have 127 rows. */
    private static final int[][] MATRICES = {
        {0, 17},
        {5, 0},
        {1, 1},
        {1, 1021},
        {2, 15},
        {3, 16},
        {7, 17},
        {63, 31},
        {64, 32},
        {65, 33},
        {127, 63},
        {128, 64},
        {129, 65},
        {1021, 3},
        {126, 129},
        {127, 129},
        {128, 129},
        {1031, 129},
        {33, 513},
        {211, 1},
    };

    private SumCases() {}

    static Stream<Case> sums() {
        return DTYPES.stream()
                .flatMap(dtype -> IntStream.of(COUNTS)
                        .boxed()
                        .flatMap(count -> Stream.of(
                                sum(dtype, 1, -1, count),
                                sum(dtype, 2, 1, count),
                                sum(dtype, 3, 2, count),
                                sum(dtype, 4, 0, count),
                                sum(dtype, 8, -1, count))));
    }

    /** @param target index of the source that receives the sum; -1 for memory of its own */
    private static Case sum(DType dtype, int sources, int target, int count) {
        String name = dtype + " " + sources + " sources of " + count + (target < 0 ? "" : " into source " + target);
        return new Case(name, trial -> {
            List<Tensor> added = new ArrayList<>();
            float[] sums = new float[count];
            for (int source = 0; source < sources; source++) {
                Layout layout = new Layout(source % 3, 0);
                Tensor tensor = source == target
                        ? trial.update("source " + source, dtype, Math.pow(10, source % 3), layout, count)
                        : trial.input("source " + source, dtype, Math.pow(10, source % 3), layout, count);
                added.add(tensor);
                double[] values = trial.get(tensor);
                for (int i = 0; i < count; i++) {
                    sums[i] = source == 0 ? (float) values[i] : sums[i] + (float) values[i];
                }
            }
            Tensor into = target < 0 ? trial.output("target", dtype, Layout.MISALIGNED, count) : added.get(target);
            trial.run(new Sum(added, into));
            double[] stored = IntStream.range(0, count)
                    .mapToDouble(i -> Precision.of(dtype).store(sums[i]))
                    .toArray();
            trial.expect(into, Bounds.exactly(stored));
        });
    }

    static Stream<Case> columns() {
        return columns(Stream.of(MATRICES));
    }

    static Stream<Case> largeColumns() {
        return columns(Stream.of(new int[][] {{4099, 2053}, {16_411, 129}}));
    }

    private static Stream<Case> columns(Stream<int[]> sizes) {
        return sizes.flatMap(size -> DTYPES.stream()
                .flatMap(dtype -> Stream.of(Layout.DENSE, Layout.PADDED)
                        .flatMap(layout -> Stream.of(false, true)
                                .map(accumulate -> columns(dtype, size[0], size[1], layout, accumulate)))));
    }

    private static Case columns(DType dtype, int rows, int columns, Layout layout, boolean accumulate) {
        String name = String.format(
                Locale.ROOT, "%s %d x %d%s %s", dtype, rows, columns, accumulate ? " accumulate" : "", layout);
        return new Case(name, trial -> {
            Tensor x = trial.input("x", dtype, 1, layout, rows, columns);
            Tensor out = output(trial, DType.F32, accumulate, columns);
            trial.run(new ColumnSum(x, out, accumulate));
            Trial.Reference reference = (values, precision) -> {
                double[] rowsOfX = values.apply(x);
                double[] sums = new double[columns];
                for (int i = 0; i < rowsOfX.length; i++) {
                    sums[i % columns] = precision.step(sums[i % columns] + rowsOfX[i]);
                }
                double[] before = accumulate ? values.apply(out) : new double[columns];
                return IntStream.range(0, columns)
                        .mapToDouble(i -> precision.step(before[i] + sums[i]))
                        .toArray();
            };
            trial.expect(out, trial.like(reference, Precision.F32, Precision.F32));
        });
    }

    static Stream<Case> squares() {
        return Stream.concat(
                IntStream.of(COUNTS).boxed().flatMap(SumCases::squares),
                Stream.of(Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN)
                        .flatMap(value -> Stream.of(0, 1021, 16_385, 40_008)
                                .map(place -> squares(40_009, 1, value, place, place % 2 == 0))));
    }

    static Stream<Case> largeSquares() {
        return squares(10_000_019);
    }

    /** Squares of small ones vanish in fp32, those of large ones are infinite there. */
    private static Stream<Case> squares(int count) {
        return Stream.of(1e-42, 1e-25, 1.0, 1e30)
                .flatMap(deviation ->
                        Stream.of(false, true).map(accumulate -> squares(count, deviation, 1, 0, accumulate)));
    }

    private static Case squares(int count, double deviation, double value, int place, boolean accumulate) {
        String name = count + " values of " + deviation + (value == 1 ? "" : ", " + value + " at " + place)
                + (accumulate ? " accumulate" : "");
        return new Case(name, trial -> {
            Tensor x = trial.input("x", DType.F32, deviation, Layout.MISALIGNED, count);
            double[] values = trial.get(x);
            if (count > 0) {
                values[place] *= value;
            }
            trial.set(x, values);
            Tensor out = output(trial, DType.F64, accumulate, 1);
            trial.run(new SquareSum(x, out, accumulate));
            trial.expect(out, squareSum(values, accumulate ? trial.get(out)[0] : 0));
        });
    }

    /** A square of fp32 is exact in fp64; each addition, in any order, is off by half a unit in the last place of all. */
    private static Bounds squareSum(double[] values, double before) {
        double sum = 0;
        for (double value : values) {
            sum += value * value;
        }
        double around = (values.length + 1) * 0x1p-53 * (sum + Math.abs(before));
        double total = before + sum;
        return Double.isFinite(total)
                ? Bounds.between(new double[] {total - 2 * around}, new double[] {total + 2 * around})
                : Bounds.exactly(new double[] {total});
    }

    private static Tensor output(Trial trial, DType dtype, boolean accumulate, long count) {
        return accumulate
                ? trial.update("out", dtype, 1, Layout.MISALIGNED, count)
                : trial.output("out", dtype, Layout.MISALIGNED, count);
    }
}
