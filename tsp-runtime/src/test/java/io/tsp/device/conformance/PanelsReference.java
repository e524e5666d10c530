package io.tsp.device.conformance;

import io.tsp.op.Panels;
import io.tsp.tensor.DType;

/**
 * The panel layout, element by element: B [K, N] in panels of 64 columns, f32 [N / 64][K][64], bf16 [N / 64][K / 2][64][2],
 * zeros where there is no element. K of gate and up is padded to a multiple of 2, K of a single matrix to one of 32.
 */
final class PanelsReference {
    private static final int COLUMNS = (int) Panels.COLUMNS;
    private static final int FEATURES = (int) Panels.FEATURES;

    private final DType dtype;
    private final int depth;

    /** @param depth K, padded */
    private PanelsReference(DType dtype, int depth) {
        this.dtype = dtype;
        this.depth = depth;
    }

    /** Column by column: 32 rows of gate, then the same 32 rows of up, and so on; both are [f, h]. */
    static double[] gateUp(double[] gate, double[] up, int features, int hidden, DType dtype) {
        PanelsReference layout = new PanelsReference(dtype, hidden + hidden % 2);
        int panels = Math.ceilDiv(features, FEATURES);
        double[] packed = new double[panels * layout.depth * COLUMNS];
        for (int feature = 0; feature < features; feature++) {
            int gateColumn = feature / FEATURES * COLUMNS + feature % FEATURES;
            for (int k = 0; k < hidden; k++) {
                packed[layout.place(k, gateColumn)] = gate[feature * hidden + k];
                packed[layout.place(k, gateColumn + FEATURES)] = up[feature * hidden + k];
            }
        }
        return packed;
    }

    /** The transpose of a source [N, K], whose K is padded to whole panels of features. */
    static double[] plain(double[] source, int rows, int columns, DType dtype) {
        PanelsReference layout = new PanelsReference(dtype, (int) Panels.pad(columns));
        double[] packed = new double[Math.ceilDiv(rows, COLUMNS) * COLUMNS * layout.depth];
        for (int n = 0; n < rows; n++) {
            for (int k = 0; k < columns; k++) {
                packed[layout.place(k, n)] = source[n * columns + k];
            }
        }
        return packed;
    }

    private int place(int k, int column) {
        int panel = column / COLUMNS * depth * COLUMNS;
        int inPanel = column % COLUMNS;
        return dtype == DType.BF16 ? panel + (k / 2 * COLUMNS + inPanel) * 2 + k % 2 : panel + k * COLUMNS + inPanel;
    }
}
