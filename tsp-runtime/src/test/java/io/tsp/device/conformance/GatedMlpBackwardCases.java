package io.tsp.device.conformance;

import io.tsp.op.Panels;
import io.tsp.op.TrainingOp.GatedMlpBackward;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/** Gradients of the gated MLP, with pre-activations that the forward pass kept and without. Tiles as in forward. */
final class GatedMlpBackwardCases {
    private static final List<DType> DTYPES = List.of(DType.F32, DType.BF16);

    /** Activations that are all zero, and those where silu is flat on one side and steep on the other. */
    private static final double[] DEVIATIONS = {0, 30, 1000};

    /** Gradients are products of several normal numbers: the largest error is that of one of few large ones. */
    private static final int FAIR_NUMBER = 5 * Trial.FAIR_NUMBER;

    private record Shape(
            DType dtype, int rows, int hidden, int features, boolean saved, boolean accumulate, double deviation) {
        Layout layout() {
            return rows % 2 == 0 ? Layout.DENSE : Layout.PADDED;
        }

        Case toCase() {
            String name = String.format(
                    Locale.ROOT,
                    "%s T=%d h=%d f=%d%s%s, x of %s %s",
                    dtype,
                    rows,
                    hidden,
                    features,
                    saved ? " saved" : "",
                    accumulate ? " accumulate" : "",
                    deviation,
                    layout());
            return new Case(name, trial -> setUp(trial, this));
        }
    }

    private GatedMlpBackwardCases() {}

    static Stream<Case> everyday() {
        return Stream.of(
                        sizes(Stream.of(GatedMlpCases.SIZES)),
                        sizes(Stream.of(GatedMlpCases.DEEP)),
                        DTYPES.stream()
                                .flatMap(dtype -> DoubleStream.of(DEVIATIONS)
                                        .boxed()
                                        .flatMap(deviation -> Stream.of(false, true)
                                                .map(saved -> new Shape(dtype, 131, 65, 97, saved, false, deviation)
                                                        .toCase()))))
                .flatMap(cases -> cases);
    }

    static Stream<Case> large() {
        return sizes(Stream.of(GatedMlpCases.LARGE));
    }

    private static Stream<Case> sizes(Stream<int[]> sizes) {
        return sizes.flatMap(size -> DTYPES.stream()
                .flatMap(dtype -> Stream.of(false, true).map(saved -> {
                    // Each with each, over sizes.
                    boolean accumulate = saved == (size[0] % 3 == 0);
                    return new Shape(dtype, size[0], size[1], size[2], saved, accumulate, 1).toCase();
                })));
    }

    private static void setUp(Trial trial, Shape shape) {
        DType dtype = shape.dtype;
        int rows = shape.rows;
        int hidden = shape.hidden;
        int features = shape.features;
        Layout layout = shape.layout();
        Precision precision = Precision.of(dtype);
        long padded = Panels.pad(features);
        Tensor x = trial.input("x", dtype, shape.deviation, layout, rows, hidden);
        Tensor dY = trial.input("dY", dtype, 1, layout, rows, hidden);
        double[] gate = GatedMlpCases.weights(trial, precision, features, hidden);
        double[] up = GatedMlpCases.weights(trial, precision, features, hidden);
        double[] down = GatedMlpCases.weights(trial, precision, hidden, features);
        double[] gateUp = PanelsReference.gateUp(gate, up, features, hidden, dtype);
        double[] downPanels = PanelsReference.plain(down, hidden, features, dtype);
        Layout dense = new Layout(layout.offset(), 0);
        GatedMlpReference forward = new GatedMlpReference(trial.get(x), gate, up, down, rows, hidden, features);
        GatedMlpBackward op = new GatedMlpBackward(
                x,
                trial.input("gate and up", dtype, gateUp, dense, gateUp.length),
                trial.input("down", dtype, downPanels, dense, downPanels.length),
                dY,
                shape.saved
                        ? trial.input(
                                "saved",
                                dtype,
                                GatedMlpBackwardReference.saved(forward, precision),
                                layout,
                                rows,
                                2 * padded)
                        : null,
                trial.output("hidden", dtype, layout, rows, padded),
                trial.output("dGate", dtype, layout, rows, padded),
                trial.output("dUp", dtype, layout, rows, padded),
                shape.accumulate
                        ? trial.update("dX", DType.F32, 1, layout, rows, hidden)
                        : trial.output("dX", DType.F32, layout, rows, hidden),
                padded,
                shape.accumulate);
        trial.run(op);
        List<Bounds> bounds = trial.like(
                (values, rounding) -> new GatedMlpBackwardReference(
                                new GatedMlpReference(values.apply(x), gate, up, down, rows, hidden, features),
                                values.apply(dY))
                        .gradients(
                                shape.accumulate ? values.apply(op.dX()) : new double[rows * hidden],
                                rounding,
                                shape.saved ? precision : null),
                precision,
                List.of(precision, precision, precision, Precision.F32),
                FAIR_NUMBER);
        trial.expect(op.hidden(), bounds.get(0));
        trial.expect(op.dGate(), bounds.get(1));
        trial.expect(op.dUp(), bounds.get(2));
        trial.expect(op.dX(), bounds.get(3));
    }
}
