package io.tsp.device.conformance;

import io.tsp.mesh.TokenPlacement;
import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.TrainingOp.AttentionBackward;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Gradients of the launches in {@link AttentionCases}. Keys too have rows that belong to no chunk. What the forward pass
 * left is the reference's own, but for some cases that run its kernel.
 */
final class AttentionBackwardCases {
    private static final int SPARE_ROWS = AttentionCases.SPARE_ROWS;

    /** Gradients of queries that see few keys are much larger than others: the largest error is that of one of few. */
    private static final int FAIR_NUMBER = 20 * Trial.FAIR_NUMBER;

    private AttentionBackwardCases() {}

    static Stream<Case> everyday() {
        return Stream.of(
                        cases(AttentionCases.everydayShapes()),
                        Stream.of(DType.F32, DType.BF16).flatMap(AttentionBackwardCases::fewKeys),
                        Stream.of(DType.F32, DType.BF16)
                                .map(dtype -> AttentionShape.of(dtype, 150)
                                        .heads(2, 2, 40)
                                        .documents(70, 33)
                                        .window(50))
                                .map(shape ->
                                        new Case(shape + ", after its kernel", trial -> afterForward(shape, trial))))
                .flatMap(cases -> cases);
    }

    static Stream<Case> large() {
        return cases(AttentionCases.largeShapes());
    }

    /** Every other one is added to what is there. */
    private static Stream<Case> cases(Stream<AttentionShape> shapes) {
        return shapes.map(shape -> {
            boolean accumulate = shape.toString().hashCode() % 2 == 0;
            return new Case(
                    shape + (accumulate ? ", accumulate" : ""), trial -> setUp(shape, accumulate, false, trial));
        });
    }

    /** No keys at all, and keys that the first queries do not see. */
    private static Stream<Case> fewKeys(DType dtype) {
        return Stream.of(false, true)
                .flatMap(accumulate -> Stream.of(
                        new Case(
                                dtype + " no keys at all" + (accumulate ? ", accumulate" : ""),
                                trial -> small(dtype, trial, accumulate, 0, List.of())),
                        new Case(
                                dtype + " no chunk of keys" + (accumulate ? ", accumulate" : ""),
                                trial -> small(dtype, trial, accumulate, 7, List.of())),
                        new Case(
                                dtype + " keys after queries" + (accumulate ? ", accumulate" : ""),
                                trial -> small(dtype, trial, accumulate, 70, List.of(new Chunk(0, 70, 70, 40))))));
    }

    private static void afterForward(AttentionShape shape, Trial trial) {
        setUp(shape, false, true, trial);
    }

    private static void setUp(AttentionShape shape, boolean accumulate, boolean runForward, Trial trial) {
        TokenPlacement own = shape.tokens(shape.rank());
        long rows = own.rows() + 2 * SPARE_ROWS;
        long keyRows = (long) shape.batch() * shape.seq() + 2 * SPARE_ROWS;
        long heads = (long) shape.kvHeads() * shape.ratio();
        Tensor keysAndValues = trial.input(
                "k and v", shape.dtype(), 1, shape.layout(), keyRows, 2L * shape.kvHeads(), shape.headDim());
        Operands operands = new Operands(
                trial.input("q", shape.dtype(), shape.deviation(), shape.layout(), rows, heads, shape.headDim()),
                keysAndValues.slice(1, 0, shape.kvHeads()),
                keysAndValues.slice(1, shape.kvHeads(), shape.kvHeads()),
                shape.layout());
        Tensor kvStart = AttentionCases.kvStart(shape, own, rows, trial);
        judge(
                trial,
                operands,
                (out, lse) -> new Attention(
                        operands.q,
                        operands.k,
                        operands.v,
                        kvStart,
                        out,
                        lse,
                        AttentionCases.chunks(own, SPARE_ROWS),
                        AttentionCases.gathered(shape, SPARE_ROWS),
                        shape.batch(),
                        shape.window(),
                        (float) (1 / Math.sqrt(shape.headDim()))),
                accumulate,
                runForward);
    }

    private static void small(DType dtype, Trial trial, boolean accumulate, long keys, List<Chunk> keyChunks) {
        double[] starts =
                IntStream.range(0, 100).mapToDouble(i -> i < 80 ? 0 : 1000).toArray();
        Operands operands = new Operands(
                trial.input("q", dtype, 1, Layout.DENSE, 100, 4, 16),
                trial.input("k", dtype, 1, Layout.DENSE, keys, 2, 16),
                trial.input("v", dtype, 1, Layout.DENSE, keys, 2, 16),
                Layout.DENSE);
        Tensor kvStart = trial.input("kvStart", DType.I32, starts, Layout.DENSE, 100);
        judge(
                trial,
                operands,
                (out, lse) -> new Attention(
                        operands.q,
                        operands.k,
                        operands.v,
                        kvStart,
                        out,
                        lse,
                        List.of(new Chunk(0, 100, 100, 0)),
                        keyChunks,
                        1,
                        0,
                        0.25f),
                accumulate,
                false);
    }

    private record Operands(Tensor q, Tensor k, Tensor v, Layout layout) {}

    @FunctionalInterface
    private interface Launch {
        Attention of(Tensor out, Tensor lse);
    }

    private static void judge(Trial trial, Operands operands, Launch launch, boolean accumulate, boolean runForward) {
        DType dtype = operands.q.dtype();
        Layout layout = operands.layout;
        Precision precision = Precision.of(dtype);
        long[] queries = {operands.q.dim(0), operands.q.dim(1), operands.q.dim(2)};
        long kvHeads = operands.k.dim(1);
        Tensor out = trial.output("out", dtype, layout, queries);
        Tensor lse = trial.output("lse", DType.F32, layout, queries[0], queries[1]);
        Attention forward = launch.of(out, lse);
        AttentionReference left = AttentionReference.of(forward, trial::get, Precision.EXACT);
        if (runForward) {
            trial.run(forward);
            AttentionCases.expect(trial, forward);
        } else {
            trial.set(out, AttentionBackwardReference.out(left, precision));
            trial.set(lse, AttentionBackwardReference.lse(left, precision));
        }
        long[] gradients = {operands.k.dim(0), 2 * kvHeads, queries[2]};
        Tensor dKeysAndValues = accumulate
                ? trial.update("dK and dV", DType.F32, 1, layout, gradients)
                : trial.output("dK and dV", DType.F32, layout, gradients);
        AttentionBackward op = new AttentionBackward(
                forward,
                trial.input("dOut", dtype, 1, layout, queries),
                trial.output("dQ", dtype, layout, queries),
                dKeysAndValues.slice(1, 0, kvHeads),
                dKeysAndValues.slice(1, kvHeads, kvHeads),
                accumulate);
        trial.run(op);
        List<Bounds> bounds = trial.like(
                (values, rounding) -> AttentionBackwardReference.of(op, values, rounding, precision),
                precision,
                List.of(precision, Precision.F32, Precision.F32),
                FAIR_NUMBER);
        trial.expect(op.dQ(), bounds.get(0).keepingUndefined());
        trial.expect(op.dK(), bounds.get(1).keepingUndefined());
        trial.expect(op.dV(), bounds.get(2).keepingUndefined());
    }
}
