package io.tsp.benchmark.paper;

import java.util.List;
import java.util.OptionalDouble;

/**
 * Peak memory of a GPU as the paper publishes it (figure 9), for its 7B reference on 8 GPUs, and the formula behind it as
 * far as it can be recovered: {@code tp} and {@code tp+sp} lie on three straight lines, which these five numbers describe.
 * "GB" is read as GiB. What the parts stand for is a guess, but which of them the axes divide is not.
 */
final class PublishedMemory {
    static final double BYTES_PER_GIB = 1L << 30;
    /** Context, libraries and their communicators. */
    static final double CONSTANT_GIB = 2.012;
    /** Weights, gradients and optimizer with its temporaries; divided by heads' ranks only. */
    static final double BYTES_PER_PARAMETER = 24.006;
    /** Inputs of layers that are kept: one for each of 32 and a little; divided by tokens' ranks only. */
    static final double KEPT_INPUTS = 33.307;
    /** Of the gathered keys and values of every layer, what is kept: nearly all (61.2 of 64 hidden tensors). */
    static final double KEPT_KEYS_AND_VALUES = 61.214 / 64;
    /** Hidden tensors of all tokens that one layer works with. */
    static final double WORKING_TENSORS = 3.021;
    /** What tsp has on top of constant and parameters, and local hidden tensors: two numbers from two points. */
    static final double TSP_MORE_GIB = 3.87;

    static final double TSP_LOCAL_TENSORS = 71.3;

    /** A number of the paper. */
    record Point(String scheme, long seq, double gib) {}

    static final List<Point> POINTS = List.of(
            new Point("tsp", 16 << 10, 31.0),
            new Point("tsp", 128 << 10, 38.8),
            new Point("tp", 16 << 10, 31.5),
            new Point("tp", 128 << 10, 70.0),
            new Point("tp+sp:4x2", 16 << 10, 54.4),
            new Point("tp+sp:4x2", 32 << 10, 58.8),
            new Point("tp+sp:4x2", 64 << 10, 67.5),
            new Point("tp+sp:4x2", 128 << 10, 85.0),
            new Point("tp+sp:2x4", 16 << 10, 103.3),
            new Point("tp+sp:2x4", 32 << 10, 108.5),
            new Point("tp+sp:2x4", 64 << 10, 119.0),
            new Point("tp+sp:2x4", 128 << 10, 140.0));

    private PublishedMemory() {}

    static OptionalDouble of(String scheme, long seq) {
        return POINTS.stream()
                .filter(point -> point.scheme.equals(scheme) && point.seq == seq)
                .mapToDouble(Point::gib)
                .findFirst();
    }
}
