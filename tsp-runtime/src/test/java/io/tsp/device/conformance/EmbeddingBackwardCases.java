package io.tsp.device.conformance;

import io.tsp.op.TrainingOp.EmbeddingBackward;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Gradients of a vocabulary shard, added up in the order of tokens: every bit is known. */
final class EmbeddingBackwardCases {
    private static final int VOCAB_START = 50;
    private static final int[] WIDTHS = {1, 2, 15, 16, 17, 63, 64, 65, 1021};

    private EmbeddingBackwardCases() {}

    static Stream<Case> all() {
        return Stream.of(DType.F32, DType.BF16)
                .flatMap(dtype -> Stream.of(false, true)
                        .flatMap(accumulate -> Stream.concat(
                                IntStream.of(WIDTHS).mapToObj(width -> at(dtype, accumulate, 97, 33, width)),
                                Stream.of(
                                        at(dtype, accumulate, 1, 1, 8),
                                        at(dtype, accumulate, 1021, 1, 33),
                                        at(dtype, accumulate, 1021, 257, 129),
                                        at(dtype, accumulate, 0, 33, 8),
                                        at(dtype, accumulate, 5, 0, 8),
                                        at(dtype, accumulate, 5, 33, 0)))));
    }

    private static Case at(DType dtype, boolean accumulate, int rows, int vocab, int width) {
        String name = dtype + " T=" + rows + " V=" + vocab + " n=" + width + (accumulate ? " accumulate" : "");
        return new Case(name, trial -> setUp(trial, dtype, accumulate, rows, vocab, width));
    }

    private static void setUp(Trial trial, DType dtype, boolean accumulate, int rows, int vocab, int width) {
        Tensor dOut = trial.input("dOut", dtype, 1, Layout.PADDED, rows, width);
        // Below, first, last, above, then anything: also what lies far outside.
        int[] edges = {
            VOCAB_START - 1, VOCAB_START, VOCAB_START + vocab - 1, VOCAB_START + vocab, 0, -1, Integer.MAX_VALUE
        };
        double[] ids = IntStream.range(0, rows)
                .mapToDouble(t -> t < edges.length
                        ? edges[t]
                        : VOCAB_START - 5 + trial.random().nextInt(vocab + 10))
                .toArray();
        Tensor dTable = accumulate
                ? trial.update("dTable", DType.F32, 1, Layout.PADDED, vocab, width)
                : trial.output("dTable", DType.F32, Layout.PADDED, vocab, width);
        trial.run(new EmbeddingBackward(
                dOut, trial.input("ids", DType.I32, ids, Layout.MISALIGNED, rows), dTable, VOCAB_START, accumulate));
        double[] gradients = trial.get(dOut);
        double[] sums = accumulate ? trial.get(dTable) : new double[vocab * width];
        for (int t = 0; t < rows; t++) {
            int row = (int) ids[t] - VOCAB_START;
            for (int i = 0; row >= 0 && row < vocab && i < width; i++) {
                sums[row * width + i] = (float) (sums[row * width + i] + gradients[t * width + i]);
            }
        }
        trial.expect(dTable, Bounds.exactly(sums));
    }
}
