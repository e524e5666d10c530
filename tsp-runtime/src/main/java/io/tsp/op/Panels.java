package io.tsp.op;

/** Sizes of the panel layout, in elements; see {@code tsp_pack_args}. */
public final class Panels {
    /** Columns of a panel. */
    public static final long COLUMNS = 64;
    /** Intermediate features of a gate/up panel: half its columns; shards are padded to a multiple. */
    public static final long FEATURES = 32;

    private Panels() {}

    /** Elements of the packed gate/up matrices of features rows each, of hidden columns. */
    public static long gateUpCount(long features, long hidden) {
        return Math.ceilDiv(features, FEATURES) * COLUMNS * Math.ceilDiv(hidden, 2) * 2;
    }

    /** Elements of a packed down matrix [hidden, features]. */
    public static long downCount(long features, long hidden) {
        return Math.ceilDiv(hidden, COLUMNS) * COLUMNS * pad(features);
    }

    /** Features padded to whole panels. */
    public static long pad(long features) {
        return Math.ceilDiv(features, FEATURES) * FEATURES;
    }
}
