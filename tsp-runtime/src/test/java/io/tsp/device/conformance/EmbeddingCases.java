package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.Embedding;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.BitSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Rows of a vocabulary shard: exact copies, zeros, or what was there before. */
final class EmbeddingCases {
    private static final int VOCAB_START = 50;
    private static final int[] WIDTHS = {1, 2, 15, 16, 17, 63, 64, 65, 1021};

    private EmbeddingCases() {}

    static Stream<Case> all() {
        return Stream.of(DType.F32, DType.BF16)
                .flatMap(dtype -> Stream.of(false, true)
                        .flatMap(keep -> Stream.concat(
                                IntStream.of(WIDTHS).mapToObj(width -> at(dtype, keep, 97, 33, width)),
                                Stream.of(
                                        at(dtype, keep, 1, 1, 8),
                                        at(dtype, keep, 0, 33, 8),
                                        at(dtype, keep, 5, 0, 8),
                                        at(dtype, keep, 5, 33, 0)))));
    }

    private static Case at(DType dtype, boolean keep, int rows, int vocab, int width) {
        String name = dtype + " T=" + rows + " V=" + vocab + " n=" + width + (keep ? " keep" : " zero");
        return new Case(name, trial -> setUp(trial, dtype, keep, rows, vocab, width));
    }

    private static void setUp(Trial trial, DType dtype, boolean keep, int rows, int vocab, int width) {
        Tensor table = trial.input("table", dtype, 1, Layout.PADDED, vocab, width);
        // Below, first, last, above, then anything: also what lies far outside.
        int[] edges = {
            VOCAB_START - 1, VOCAB_START, VOCAB_START + vocab - 1, VOCAB_START + vocab, 0, -1, Integer.MAX_VALUE
        };
        double[] ids = IntStream.range(0, rows)
                .mapToDouble(t -> t < edges.length
                        ? edges[t]
                        : VOCAB_START - 5 + trial.random().nextInt(vocab + 10))
                .toArray();
        Tensor out = trial.output("out", dtype, Layout.PADDED, rows, width);
        trial.run(new Embedding(
                table, trial.input("ids", DType.I32, ids, Layout.MISALIGNED, rows), out, VOCAB_START, keep));
        double[] vectors = trial.get(table);
        double[] expected = new double[rows * width];
        BitSet untouched = new BitSet();
        for (int t = 0; t < rows; t++) {
            int row = (int) ids[t] - VOCAB_START;
            if (row >= 0 && row < vocab) {
                System.arraycopy(vectors, row * width, expected, t * width, width);
            } else if (keep) {
                untouched.set(t * width, (t + 1) * width);
            }
        }
        trial.expect(out, Bounds.exactly(expected).keeping(untouched));
    }
}
