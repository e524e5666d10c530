package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.Panels;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.Stream;

/** The gated MLP on panels that the test packed itself. Tiles have 6 rows and 64 columns, blocks 384 rows. */
final class GatedMlpCases {
    private static final List<DType> DTYPES = List.of(DType.F32, DType.BF16);

    /** Rows, hidden, features. */
    static final int[][] SIZES = {
        {1, 1, 1},
        {1, 2, 32},
        {2, 3, 31},
        {3, 64, 33},
        {5, 63, 64},
        {6, 65, 63},
        {7, 97, 65},
        {11, 8, 96},
        {12, 66, 256},
        {13, 256, 97},
        {31, 96, 32},
        {32, 127, 128},
        {33, 129, 160},
        {63, 48, 80},
        {64, 64, 64},
        {65, 40, 72},
        {0, 16, 32},
        {9, 17, 0},
        {203, 96, 172},
        {383, 5, 40},
        {384, 7, 33},
        {385, 9, 65},
    };

    /** Deeper than a slice of a panel: more than 512 words. */
    static final int[][] DEEP = {{7, 513, 545}, {5, 1027, 1057}, {3, 2049, 97}};

    static final int[][] LARGE = {{769, 320, 352}, {130, 1536, 1100}, {1021, 257, 513}};

    /** What an op does beside writing y. */
    private enum Kind {
        PLAIN(" "),
        ACCUMULATE(" accumulate "),
        SAVED(" saved ");

        private final String name;

        Kind(String name) {
            this.name = name;
        }
    }

    private GatedMlpCases() {}

    static Stream<Case> everyday() {
        return cases(Stream.concat(Stream.of(SIZES), Stream.of(DEEP)));
    }

    static Stream<Case> large() {
        return cases(Stream.of(LARGE));
    }

    private static Stream<Case> cases(Stream<int[]> sizes) {
        return sizes.flatMap(size -> DTYPES.stream()
                .flatMap(dtype -> Stream.of(Kind.values()).map(kind -> {
                    Layout layout = size[0] % 2 == 0 ? Layout.DENSE : Layout.PADDED;
                    String name = dtype + " T=" + size[0] + " h=" + size[1] + " f=" + size[2] + kind.name + layout;
                    return new Case(name, trial -> setUp(trial, dtype, size, layout, kind));
                })));
    }

    private static void setUp(Trial trial, DType dtype, int[] size, Layout layout, Kind kind) {
        int rows = size[0];
        int hidden = size[1];
        int features = size[2];
        Precision precision = Precision.of(dtype);
        Tensor x = trial.input("x", dtype, 1, layout, rows, hidden);
        double[] gate = weights(trial, precision, features, hidden);
        double[] up = weights(trial, precision, features, hidden);
        double[] down = weights(trial, precision, hidden, features);
        double[] gateUp = PanelsReference.gateUp(gate, up, features, hidden, dtype);
        double[] downPanels = PanelsReference.plain(down, hidden, features, dtype);
        Layout dense = new Layout(layout.offset(), 0);
        boolean accumulate = kind == Kind.ACCUMULATE;
        Tensor y = accumulate
                ? trial.update("y", DType.F32, 1, layout, rows, hidden)
                : trial.output("y", DType.F32, layout, rows, hidden);
        Tensor saved = kind == Kind.SAVED ? trial.output("saved", dtype, layout, rows, 2 * Panels.pad(features)) : null;
        trial.run(new GatedMlp(
                x,
                trial.input("gate and up", dtype, gateUp, dense, gateUp.length),
                trial.input("down", dtype, downPanels, dense, downPanels.length),
                y,
                saved,
                Panels.pad(features),
                accumulate));
        Trial.Reference reference =
                (values, rounding) -> new GatedMlpReference(values.apply(x), gate, up, down, rows, hidden, features)
                        .y(accumulate ? values.apply(y) : new double[rows * hidden], rounding);
        trial.expect(y, trial.like(reference, precision, Precision.F32));
        if (saved != null) {
            Trial.Reference before = (values, rounding) ->
                    new GatedMlpReference(values.apply(x), gate, up, down, rows, hidden, features).saved(rounding);
            trial.expect(saved, trial.like(before, precision, precision));
        }
    }

    /** Weights [out, in] that keep values of order 1. */
    static double[] weights(Trial trial, Precision precision, int out, int in) {
        double[] weights = trial.normal((long) out * in, 1 / Math.sqrt(Math.max(1, in)));
        for (int i = 0; i < weights.length; i++) {
            weights[i] = precision.store(weights[i]);
        }
        return weights;
    }
}
