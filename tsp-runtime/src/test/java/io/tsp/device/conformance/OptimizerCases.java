package io.tsp.device.conformance;

import io.tsp.op.TrainingOp.AdamW;
import io.tsp.op.TrainingOp.Clip;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The norm of the gradient and what follows from it, and steps of AdamW. */
final class OptimizerCases {
    private static final int[] COUNTS = {0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1021, 16_383, 16_384, 16_385};
    /** Elements on both sides of those that an op is given; they too are drawn, for a fair error of low precision. */
    private static final int AROUND = 501;

    /** Of second moments, but where all is 0: dividing by the root of less makes one element's error hide all others. */
    private static final double LEAST_SQUARE = 0.05;

    /** Learning rate, betas, epsilon, weight decay, corrections of step 1 or 3, largest norm. */
    private static final double[] FIRST_STEP = {0.1, 0.9, 0.95, 1e-8, 0.1, 0.1, 0.05, 1};

    private static final double[] THIRD_STEP = {0.02, 0.3, 0.999, 1e-5, 0.01, 1 - 0.027, 1 - 0.997002999, 1};

    /** Of the norm, its sum with 1e-6, and the division, each rounded once by fp32. */
    private static final double FEW_ROUNDINGS = 3 * 0x1p-24;

    private static final double LEAST_NORM = 1e-6;
    private static final int MAX_NORM = 7;

    private record Shape(
            int count,
            DType first,
            DType second,
            @Nullable DType rounded,
            boolean decay,
            double factor,
            double[] hyper,
            long offset) {
        Case toCase() {
            String name = String.format(
                    Locale.ROOT,
                    "n=%d moments %s %s, rounded %s%s, gradients by %s, rate %s, offset %d",
                    count,
                    first,
                    second,
                    rounded,
                    decay ? ", decay" : "",
                    factor,
                    hyper[0],
                    offset);
            return new Case(name, trial -> advance(trial, this));
        }
    }

    private OptimizerCases() {}

    static Stream<Case> adamW() {
        return Stream.concat(
                IntStream.of(COUNTS).boxed().flatMap(OptimizerCases::shapes).map(Shape::toCase),
                Stream.of(1f, Float.NaN).map(found -> new Case("found " + found, trial -> skip(trial, found))));
    }

    /** More than 32 MiB, which are written past the caches. */
    static Stream<Case> largeAdamW() {
        return Stream.of(
                        new Shape(17_000_003, DType.F32, DType.BF16, DType.BF16, true, 0.5, THIRD_STEP, 11),
                        new Shape(9_000_011, DType.F32, DType.F32, DType.F32, true, 1, FIRST_STEP, 0))
                .map(Shape::toCase);
    }

    private static Stream<Shape> shapes(int count) {
        DType f32 = DType.F32;
        DType bf16 = DType.BF16;
        return Stream.of(
                new Shape(count, f32, f32, null, true, 1, FIRST_STEP, 0),
                new Shape(count, f32, f32, null, false, 0.25, THIRD_STEP, 11),
                new Shape(count, f32, f32, bf16, true, 0.25, THIRD_STEP, 11),
                new Shape(count, f32, f32, f32, true, 1, THIRD_STEP, 0),
                new Shape(count, bf16, f32, bf16, false, 0.25, FIRST_STEP, 11),
                new Shape(count, f32, bf16, bf16, true, 1, FIRST_STEP, 11),
                new Shape(count, bf16, bf16, bf16, true, 0.25, FIRST_STEP, 11),
                new Shape(count, bf16, bf16, null, false, 1, THIRD_STEP, 0),
                new Shape(count, bf16, bf16, f32, true, 0, THIRD_STEP, 11));
    }

    /** What a step reads and changes, with the elements around it. */
    private record Operands(Tensor parameter, Tensor grad, Tensor first, Tensor second) {
        static Operands of(Trial trial, Shape shape) {
            int all = shape.count + 2 * AROUND;
            Layout layout = new Layout(shape.offset, 0);
            Operands operands = new Operands(
                    trial.update("parameter", DType.F32, 1, layout, all),
                    trial.input("grad", DType.F32, 1, layout, all),
                    trial.update("first", shape.first, 1, layout, all),
                    trial.update("second", shape.second, 1, layout, all));
            change(trial, operands.grad, (value, i) -> i % 7 == 0 ? 0 : value);
            change(trial, operands.first, (value, i) -> i % 14 == 0 ? 0 : value);
            change(trial, operands.second, (value, i) -> i % 14 == 0 ? 0 : LEAST_SQUARE + value * value);
            return operands;
        }

        AdamW op(Trial trial, Shape shape, double found) {
            Layout layout = new Layout(shape.offset, 0);
            return new AdamW(
                    parameter.rows(AROUND, shape.count),
                    grad.rows(AROUND, shape.count),
                    first.rows(AROUND, shape.count),
                    second.rows(AROUND, shape.count),
                    shape.rounded == null ? null : trial.output("rounded", shape.rounded, layout, shape.count),
                    trial.input("hyper", DType.F32, shape.hyper, Layout.MISALIGNED, AdamW.HYPER_COUNT),
                    trial.input("clip", DType.F32, new double[] {shape.factor, found, 3}, Layout.MISALIGNED, 3),
                    shape.decay);
        }
    }

    @FunctionalInterface
    private interface Change {
        double of(double value, int place);
    }

    private static void change(Trial trial, Tensor tensor, Change change) {
        double[] values = trial.get(tensor);
        for (int i = 0; i < values.length; i++) {
            values[i] = change.of(values[i], i);
        }
        trial.set(tensor, values);
    }

    private static void advance(Trial trial, Shape shape) {
        Operands operands = Operands.of(trial, shape);
        AdamW op = operands.op(trial, shape, 0);
        trial.run(op);
        AdamWReference reference = new AdamWReference(
                trial.get(operands.parameter),
                trial.get(operands.grad),
                trial.get(operands.first),
                trial.get(operands.second),
                trial.get(op.hyper()),
                shape.factor,
                shape.decay);
        AdamWReference.Result exact = reference.step(Precision.EXACT);
        AdamWReference.Result low = reference.step(Precision.F32);
        Bounds parameter = bounds(AdamWReference.Result::parameter, exact, low, shape.count);
        trial.expect(op.parameter(), parameter);
        Bounds first = bounds(AdamWReference.Result::first, exact, low, shape.count);
        trial.expect(op.first(), first.stored(Precision.of(shape.first)));
        Bounds second = bounds(AdamWReference.Result::second, exact, low, shape.count);
        trial.expect(op.second(), second.stored(Precision.of(shape.second)));
        Tensor rounded = op.rounded();
        if (rounded != null) {
            trial.expect(rounded, parameter.stored(Precision.of(rounded.dtype())));
        }
    }

    /** Nothing is written, not even the weight that kernels read. */
    private static void skip(Trial trial, float found) {
        Shape shape = new Shape(65, DType.BF16, DType.F32, DType.BF16, true, 1, FIRST_STEP, 1);
        trial.run(Operands.of(trial, shape).op(trial, shape, found));
    }

    private static Bounds bounds(
            Function<AdamWReference.Result, double[]> of,
            AdamWReference.Result exact,
            AdamWReference.Result low,
            int count) {
        double error = Bounds.error(of.apply(exact), of.apply(low));
        double[] own = Arrays.copyOfRange(of.apply(exact), AROUND, AROUND + count);
        return Bounds.within(own, error, Precision.F32);
    }

    static Stream<Case> clip() {
        return Stream.of(
                clip("norm below the maximum", 1, 0.25),
                clip("norm that is almost the maximum", 1, 0.999999),
                clip("norm at the maximum", 1, 1),
                clip("norm above the maximum", 1, 4, 5, 1e-30),
                clip("norm far above the maximum", 0.3, 1e60, 1e50),
                clip("tiny norm", 1e-9, 1e-18, 1e-19),
                clip("no gradient", 1, 0, 0, 0),
                clip("no parts", 1),
                clip("no maximum", 0, 4, 5),
                clip(
                        "many parts",
                        1,
                        IntStream.range(0, 1021).mapToDouble(i -> 1.0 / (i + 1)).toArray()),
                clip("infinite part", 1, 3, Double.POSITIVE_INFINITY),
                clip("NaN", 1, 3, Double.NaN, 4),
                clip("infinite part, no maximum", 0, 3, Double.POSITIVE_INFINITY),
                clip("infinite sum", 1, 1e308, 1e308),
                clip("norm that fp32 does not hold", 1, 1e80));
    }

    private static Case clip(String name, double maxNorm, double... squares) {
        return new Case(name, trial -> {
            double[] hyper = FIRST_STEP.clone();
            hyper[MAX_NORM] = maxNorm;
            Tensor clip = trial.scratch("clip", DType.F32, 3);
            trial.run(new Clip(
                    trial.input("squares", DType.F64, squares, Layout.MISALIGNED, squares.length),
                    trial.input("hyper", DType.F32, hyper, Layout.MISALIGNED, AdamW.HYPER_COUNT),
                    clip));
            double norm = Math.sqrt(DoubleStream.of(squares).reduce(0, Double::sum));
            boolean found = !Float.isFinite((float) norm);
            trial.expect(clip.rows(1, 1), Bounds.exactly(new double[] {found ? 1 : 0}));
            trial.expect(clip.rows(2, 1), Bounds.exactly(new double[] {(float) norm}));
            if (!found) {
                double factor = maxNorm == 0 ? 1 : (float) maxNorm / (norm + LEAST_NORM);
                trial.expect(
                        clip.rows(0, 1),
                        Bounds.between(
                                new double[] {Math.min(1, factor * (1 - FEW_ROUNDINGS))},
                                new double[] {Math.min(1, factor * (1 + FEW_ROUNDINGS))}));
            }
        });
    }
}
