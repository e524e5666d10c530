package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.PackPanels;
import io.tsp.op.Panels;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.Stream;

/** Packing is a permutation and a rounding: every bit is known. */
final class PackPanelsCases {
    private static final List<DType> DTYPES = List.of(DType.F32, DType.BF16);
    private static final int[] SIZES = {1, 2, 3, 31, 32, 33, 63, 64, 65, 97};
    /** Panels before and behind those that an op writes. */
    private static final int OTHER_PANELS = 2;

    private PackPanelsCases() {}

    static Stream<Case> everyday() {
        Stream.Builder<Case> cases = Stream.builder();
        for (DType source : DTYPES) {
            for (DType panels : DTYPES) {
                for (int i = 0; i < SIZES.length; i++) {
                    add(cases, source, panels, SIZES[i], SIZES[(3 * i + 4) % SIZES.length]);
                }
                add(cases, source, panels, 130, 261);
                add(cases, source, panels, 0, 5);
                add(cases, source, panels, 5, 0);
            }
        }
        return cases.build();
    }

    /** Panels of more than 32 MiB, which are written past the caches. */
    static Stream<Case> large() {
        Stream.Builder<Case> cases = Stream.builder();
        add(cases, DType.F32, DType.F32, 2053, 2051, Layout.MISALIGNED);
        add(cases, DType.F32, DType.BF16, 2053, 4127, Layout.DENSE);
        return cases.build();
    }

    private static void add(Stream.Builder<Case> cases, DType source, DType panels, int rows, int columns) {
        for (Layout layout : List.of(Layout.DENSE, Layout.MISALIGNED, Layout.PADDED)) {
            add(cases, source, panels, rows, columns, layout);
        }
    }

    private static void add(
            Stream.Builder<Case> cases, DType source, DType panels, int rows, int columns, Layout layout) {
        String name = source + " to " + panels + ", " + rows + " x " + columns + ", " + layout;
        cases.add(new Case("gate/up " + name, trial -> gateUp(trial, source, panels, layout, rows, columns)));
        cases.add(new Case("plain " + name, trial -> plain(trial, source, panels, layout, rows, columns)));
    }

    private static void gateUp(Trial trial, DType from, DType to, Layout layout, int rows, int columns) {
        Tensor gate = trial.input("gate", from, 1, layout, rows, columns);
        Tensor up = trial.input("up", from, 1, layout, rows, columns);
        double[] packed = PanelsReference.gateUp(trial.get(gate), trial.get(up), rows, columns, to);
        long panel = Panels.COLUMNS * (columns + columns % 2);
        Tensor all = panels(trial, to, layout, packed.length, panel);
        trial.run(new PackPanels(gate, up, all, OTHER_PANELS));
        expect(trial, all.rows(OTHER_PANELS * panel, packed.length), packed, to);
    }

    private static void plain(Trial trial, DType from, DType to, Layout layout, int rows, int columns) {
        Tensor source = trial.input("source", from, 1, layout, rows, columns);
        double[] packed = PanelsReference.plain(trial.get(source), rows, columns, to);
        long panel = Panels.COLUMNS * Panels.pad(columns);
        Tensor all = panels(trial, to, layout, packed.length, panel);
        trial.run(new PackPanels(source, null, all, OTHER_PANELS));
        expect(trial, all.rows(OTHER_PANELS * panel, packed.length), packed, to);
    }

    private static Tensor panels(Trial trial, DType dtype, Layout layout, long count, long panel) {
        Layout dense = new Layout(layout.offset(), 0);
        return trial.output("panels", dtype, dense, count + 2 * OTHER_PANELS * panel);
    }

    private static void expect(Trial trial, Tensor written, double[] packed, DType dtype) {
        double[] stored = new double[packed.length];
        for (int i = 0; i < packed.length; i++) {
            stored[i] = Precision.of(dtype).store(packed[i]);
        }
        trial.expect(written, Bounds.exactly(stored));
    }
}
