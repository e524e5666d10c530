package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.Rope;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Rotary embeddings of documents that restart, up to position 131071, in heads inside a wider projection. */
final class RopeCases {
    private static final int[] HEAD_DIMS = {2, 8, 16, 24, 40, 64, 72, 128, 130, 256};

    private RopeCases() {}

    static Stream<Case> all() {
        return Stream.of(DType.F32, DType.BF16)
                .flatMap(dtype -> Stream.of(false, true)
                        .flatMap(inverse -> Stream.concat(
                                IntStream.of(HEAD_DIMS)
                                        .boxed()
                                        .flatMap(headDim -> Stream.of(1f, 1.3465736f)
                                                .map(scale -> at(dtype, inverse, 65, 3, headDim, scale))),
                                Stream.of(
                                        at(dtype, inverse, 1, 1, 64, 1),
                                        at(dtype, inverse, 0, 2, 64, 1),
                                        at(dtype, inverse, 7, 0, 64, 1),
                                        at(dtype, inverse, 1021, 2, 32, 0.5f)))));
    }

    private static Case at(DType dtype, boolean inverse, int rows, int heads, int headDim, float scale) {
        String name = dtype + " T=" + rows + " heads=" + heads + " d=" + headDim + " scale=" + scale
                + (inverse ? " inverse" : "");
        return new Case(name, trial -> setUp(trial, dtype, inverse, rows, heads, headDim, scale));
    }

    private static void setUp(
            Trial trial, DType dtype, boolean inverse, int rows, int heads, int headDim, float scale) {
        Tensor projection = trial.update("projection", dtype, 1, Layout.PADDED, rows, heads + 2, headDim);
        Tensor x = projection.slice(1, 1, heads);
        double[] positions = IntStream.range(0, rows)
                .mapToDouble(t ->
                        t % 3 == 2 ? 131_071 - t : t % 3 == 1 ? trial.random().nextInt(131_072) : t % 17)
                .toArray();
        double[] frequencies = IntStream.range(0, headDim / 2)
                .mapToDouble(i -> (float) Math.pow(10_000, -2.0 * i / headDim))
                .toArray();
        trial.run(new Rope(
                x,
                trial.input("positions", DType.I32, positions, Layout.MISALIGNED, rows),
                trial.input("inverse frequencies", DType.F32, frequencies, Layout.MISALIGNED, headDim / 2),
                scale,
                inverse));
        RopeReference reference =
                new RopeReference(trial.get(x), positions, frequencies, heads, scale, inverse, Precision.of(dtype));
        trial.expect(x, reference.rotated());
    }
}
