package io.tsp.device.conformance;

import io.tsp.op.ComputeOp.CrossEntropyFinish;
import io.tsp.op.ComputeOp.CrossEntropyMerge;
import io.tsp.op.ComputeOp.CrossEntropyUpdate;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The loss over a vocabulary in shards, step by step and from end to end. A block of logits has 4096. */
final class CrossEntropyCases {
    private static final int VOCAB_START = 40;
    private static final int[] VOCABS = {0, 1, 2, 15, 16, 17, 31, 32, 33, 97, 1021, 4095, 4096, 4097, 9001};

    /** Numbers kept of each row. */
    private static final int STATE = 3;

    /** Vocabulary of each shard. */
    private static final List<List<Integer>> SHARDS =
            List.of(List.of(97), List.of(50, 47), List.of(0, 33, 0, 64), List.of(1, 1, 1, 1, 93), List.of(5000, 1));

    private CrossEntropyCases() {}

    static Stream<Case> all() {
        return Stream.of(
                        IntStream.of(VOCABS)
                                .boxed()
                                .flatMap(vocab -> Stream.of(1.0, 10_000.0)
                                        .flatMap(deviation ->
                                                Stream.of(false, true).map(first -> update(vocab, deviation, first)))),
                        IntStream.of(1, 2, 3, 8)
                                .boxed()
                                .flatMap(parts -> IntStream.of(0, 1, 65)
                                        .mapToObj(rows -> new Case(
                                                "merge P=" + parts + " T=" + rows,
                                                trial -> merge(trial, parts, rows)))),
                        SHARDS.stream()
                                .flatMap(shards -> Stream.of(
                                        new Case("loss over shards " + shards, trial -> loss(trial, shards, false)),
                                        new Case(
                                                "loss over merged shards " + shards,
                                                trial -> loss(trial, shards, true)))),
                        Stream.of(new Case("no row has a label", CrossEntropyCases::noLabels)))
                .flatMap(cases -> cases);
    }

    private static Case update(int vocab, double deviation, boolean first) {
        String name = "update V=" + vocab + " logits of " + deviation + (first ? " first" : "");
        return new Case(name, trial -> {
            int rows = vocab > 4000 ? 5 : 33;
            Tensor logits = logits(trial, rows, vocab, deviation);
            Tensor labels = labels(trial, rows, VOCAB_START - 3, vocab + 6);
            Tensor state = first ? trial.output("state", DType.F32, Layout.PADDED, rows, STATE) : state(trial, rows);
            trial.run(new CrossEntropyUpdate(logits, labels, state, VOCAB_START, first));
            expect(trial, state, precision -> {
                CrossEntropyReference reference = first
                        ? CrossEntropyReference.empty(rows, precision)
                        : CrossEntropyReference.of(trial.get(state), precision);
                reference.update(trial.get(logits), trial.get(labels), vocab, VOCAB_START);
                return reference;
            });
        });
    }

    private static void merge(Trial trial, int parts, int rows) {
        double[] values = new double[parts * rows * STATE];
        for (int p = 0; p < parts; p++) {
            for (int t = 0; t < rows; t++) {
                putState(trial.random(), values, p * rows + t, t % parts == p);
            }
        }
        Tensor all = trial.input("parts", DType.F32, values, Layout.PADDED, parts, rows, STATE);
        Tensor state = trial.output("state", DType.F32, Layout.PADDED, rows, STATE);
        trial.run(new CrossEntropyMerge(all, state));
        expect(trial, state, precision -> {
            CrossEntropyReference reference = CrossEntropyReference.empty(rows, precision);
            for (int p = 0; p < parts; p++) {
                reference.merge(CrossEntropyReference.of(trial.get(all.rows(p, 1)), precision));
            }
            return reference;
        });
    }

    /** Every shard on a rank of its own, then merged; and all shards on one rank. Both give the loss of the whole. */
    private static void loss(Trial trial, List<Integer> shards, boolean merged) {
        int rows = 67;
        int vocab = shards.stream().mapToInt(Integer::intValue).sum();
        Tensor labels = labels(trial, rows, 0, vocab);
        Tensor logits = trial.input("logits", DType.F32, 3, Layout.PADDED, rows, vocab);
        Tensor parts = trial.scratch("parts", DType.F32, merged ? shards.size() : 1, rows, STATE);
        Tensor state = merged
                ? trial.scratch("state", DType.F32, rows, STATE)
                : parts.rows(0, 1).reshape(rows, STATE);
        long start = 0;
        for (int i = 0; i < shards.size(); i++) {
            Tensor shard = logits.slice(1, start, shards.get(i));
            Tensor part = merged ? parts.rows(i, 1).reshape(rows, STATE) : state;
            trial.run(new CrossEntropyUpdate(shard, labels, part, start, merged || i == 0));
            start += shards.get(i);
        }
        if (merged) {
            trial.run(new CrossEntropyMerge(parts, state));
        }
        expectTotals(trial, state, labels, precision -> {
            CrossEntropyReference reference = CrossEntropyReference.empty(rows, precision);
            reference.update(trial.get(logits), trial.get(labels), vocab, 0);
            return reference;
        });
    }

    private static void noLabels(Trial trial) {
        double[] ignored = new double[5];
        Arrays.fill(ignored, -1);
        Tensor labels = trial.input("labels", DType.I32, ignored, Layout.DENSE, 5);
        Tensor state = state(trial, 5);
        expectTotals(trial, state, labels, precision -> CrossEntropyReference.of(trial.get(state), precision));
    }

    private static void expectTotals(
            Trial trial, Tensor state, Tensor labels, Function<Precision, CrossEntropyReference> reference) {
        Tensor totals = trial.output("totals", DType.F64, Layout.MISALIGNED, 2);
        trial.run(new CrossEntropyFinish(state, labels, totals));
        double[] ids = trial.get(labels);
        double[] exact = reference.apply(Precision.EXACT).losses(ids);
        double[] low = reference.apply(Precision.F32).losses(ids);
        trial.expect(totals.rows(0, 1), Bounds.like(exact, low, Precision.F32).total());
        double labelled = DoubleStream.of(ids).filter(id -> id >= 0).count();
        trial.expect(totals.rows(1, 1), Bounds.exactly(new double[] {labelled}));
    }

    /** Maximum and label's logit are copies; only the sum is rounded. */
    private static void expect(Trial trial, Tensor state, Function<Precision, CrossEntropyReference> reference) {
        CrossEntropyReference exact = reference.apply(Precision.EXACT);
        CrossEntropyReference low = reference.apply(Precision.F32);
        trial.expect(state.slice(1, 0, 1), Bounds.exactly(exact.maximum()));
        trial.expect(state.slice(1, 1, 1), Bounds.like(exact.sum(), low.sum(), Precision.F32));
        trial.expect(state.slice(1, 2, 1), Bounds.exactly(exact.labelLogit()));
    }

    /** A row of only -inf, some -inf elsewhere, and a last logit that overwhelms all others. */
    private static Tensor logits(Trial trial, int rows, int vocab, double deviation) {
        double[] values = trial.normal((long) rows * vocab, deviation);
        for (int i = 0; i < values.length; i++) {
            boolean masked = i < vocab || i % 11 == 5;
            values[i] = masked ? Double.NEGATIVE_INFINITY : i == values.length - 1 ? 3e38 : values[i];
        }
        return trial.input("logits", DType.F32, values, Layout.PADDED, rows, vocab);
    }

    /** Global ids from first on; every fourth is ignored. */
    private static Tensor labels(Trial trial, int rows, int first, int count) {
        double[] labels = IntStream.range(0, rows)
                .mapToDouble(t -> t % 4 == 3 ? -1 : first + trial.random().nextInt(count))
                .toArray();
        return trial.input("labels", DType.I32, labels, Layout.MISALIGNED, rows);
    }

    /** States that rows may have after some shards; the first has seen nothing. */
    private static Tensor state(Trial trial, int rows) {
        Tensor state = trial.update("state", DType.F32, 1, Layout.PADDED, rows, STATE);
        double[] values = new double[rows * STATE];
        for (int t = 0; t < rows; t++) {
            putState(trial.random(), values, t, t % 2 == 0);
        }
        trial.set(state, values);
        return state;
    }

    private static void putState(Random random, double[] values, int row, boolean sawLabel) {
        boolean empty = row % 5 == 0;
        values[row * STATE] = empty ? Double.NEGATIVE_INFINITY : (float) (10 * random.nextGaussian());
        values[row * STATE + 1] = empty ? 0 : (float) (1 + 50 * random.nextDouble());
        values[row * STATE + 2] = empty || !sawLabel ? 0 : (float) random.nextGaussian();
    }
}
