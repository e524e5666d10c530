package io.tsp.device.conformance;

import io.tsp.op.TrainingOp.CrossEntropyBackward;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The loss's gradient of one vocabulary shard, from the state that it and other shards have left. */
final class CrossEntropyBackwardCases {
    private static final int VOCAB_START = 40;
    private static final int[] VOCABS = {0, 1, 2, 15, 16, 17, 31, 32, 33, 97, 1021, 4095, 4096, 4097, 9001};
    /** Numbers kept of each row. */
    private static final int STATE = 3;
    /** Of the logits that other shards have. */
    private static final int ELSEWHERE = 7;

    private enum Place {
        F32,
        BF16,
        LOGITS
    }

    private CrossEntropyBackwardCases() {}

    static Stream<Case> everyday() {
        return Stream.concat(
                IntStream.of(VOCABS)
                        .boxed()
                        .flatMap(vocab -> Stream.of(Place.values())
                                .flatMap(place -> Stream.of(1.0, 30.0, 10_000.0)
                                        .map(deviation -> at(vocab > 4000 ? 5 : 67, vocab, deviation, place)))),
                Stream.of(at(0, 33, 1, Place.F32), at(1, 1, 1, Place.BF16), at(1021, 3, 1, Place.LOGITS)));
    }

    /** Gradients of more than 32 MiB, which are written past the caches. */
    static Stream<Case> large() {
        return Stream.of(
                at(293, 32_003, 3, Place.F32), at(569, 32_000, 3, Place.BF16), at(293, 32_003, 3, Place.LOGITS));
    }

    private static Case at(int rows, int vocab, double deviation, Place place) {
        String name = String.format(Locale.ROOT, "T=%d V=%d logits of %s to %s", rows, vocab, deviation, place);
        return new Case(name, trial -> setUp(trial, rows, vocab, deviation, place));
    }

    private static void setUp(Trial trial, int rows, int vocab, double deviation, Place place) {
        Layout layout = vocab % 32 == 0 ? Layout.DENSE : Layout.PADDED;
        double[] values = logits(trial, rows, vocab, deviation);
        Tensor logits = place == Place.LOGITS
                ? trial.update("logits", DType.F32, 1, layout, rows, vocab)
                : trial.input("logits", DType.F32, 1, layout, rows, vocab);
        trial.set(logits, values);
        double[] labels = labels(trial, rows, vocab);
        CrossEntropyReference all = CrossEntropyReference.empty(rows, Precision.EXACT);
        all.update(trial.normal((long) rows * ELSEWHERE, deviation), labels, ELSEWHERE, VOCAB_START - ELSEWHERE);
        all.update(trial.get(logits), labels, vocab, VOCAB_START);
        Tensor state = trial.input("state", DType.F32, all.stored(), Layout.PADDED, rows, STATE);
        // As for the mean of a few labels: large enough that a bf16 gradient has something to lose.
        Tensor scale = trial.input("scale", DType.F32, new double[] {1.7}, Layout.MISALIGNED, 1);
        Tensor dLogits = switch (place) {
            case F32 -> trial.output("dLogits", DType.F32, layout, rows, vocab);
            case BF16 -> trial.output("dLogits", DType.BF16, layout, rows, vocab);
            case LOGITS -> logits;
        };
        trial.run(new CrossEntropyBackward(
                logits,
                trial.input("labels", DType.I32, labels, Layout.MISALIGNED, rows),
                state,
                scale,
                dLogits,
                VOCAB_START));
        CrossEntropyBackwardReference reference = new CrossEntropyBackwardReference(
                trial.get(logits),
                labels,
                CrossEntropyReference.of(trial.get(state), Precision.EXACT),
                vocab,
                VOCAB_START,
                trial.get(scale)[0]);
        trial.expect(dLogits, reference.bounds(Precision.of(dLogits.dtype())));
    }

    /** Some -inf, and a last logit that overwhelms all others of its row. */
    private static double[] logits(Trial trial, int rows, int vocab, double deviation) {
        double[] values = trial.normal((long) rows * vocab, deviation);
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 11 == 5 ? Double.NEGATIVE_INFINITY : i == values.length - 1 ? 1e30 : values[i];
        }
        return values;
    }

    /** Global ids in this shard, below it and above it; every fourth is ignored. */
    private static double[] labels(Trial trial, int rows, int vocab) {
        return IntStream.range(0, rows)
                .mapToDouble(t ->
                        t % 4 == 3 ? -1 - t : VOCAB_START - 3 + trial.random().nextInt(vocab + 6))
                .toArray();
    }
}
