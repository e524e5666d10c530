package io.tsp.device.conformance;

import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Attention as ranks use it: a rank's zigzag queries against the gathered keys of all ranks. Tiles have 64 keys. */
final class AttentionCases {
    private static final List<DType> DTYPES = List.of(DType.F32, DType.BF16);
    private static final int[] HEAD_DIMS = {8, 16, 24, 40, 64, 72, 128, 256};
    private static final int[] LENGTHS = {1, 2, 3, 7, 31, 63, 64, 65, 127, 128, 129, 203};
    /** Rows of Q that belong to no chunk, before and behind those that do. */
    static final int SPARE_ROWS = 2;

    private AttentionCases() {}

    static Stream<Case> everyday() {
        return Stream.concat(
                everydayShapes().map(shape -> new Case(shape.toString(), trial -> setUp(shape, trial))),
                DTYPES.stream()
                        .flatMap(dtype -> Stream.of(
                                new Case(dtype + " no keys at all", trial -> withoutKeys(dtype, trial)),
                                new Case(dtype + " keys after queries", trial -> keysAfterQueries(dtype, trial)))));
    }

    static Stream<AttentionShape> everydayShapes() {
        return DTYPES.stream()
                .flatMap(dtype -> Stream.of(
                                lengths(dtype),
                                headDims(dtype),
                                ranks(dtype, 131),
                                masks(dtype),
                                layouts(dtype),
                                values(dtype))
                        .flatMap(shapes -> shapes));
    }

    static Stream<Case> large() {
        return largeShapes().map(shape -> new Case(shape.toString(), trial -> setUp(shape, trial)));
    }

    /** Every pair of head dimension, ratio, rank of a degree and mask, and some long sequences. */
    static Stream<AttentionShape> largeShapes() {
        Stream.Builder<AttentionShape> shapes = Stream.builder();
        for (DType dtype : DTYPES) {
            for (int degree = 1; degree <= 4; degree++) {
                for (int rank = 0; rank < degree; rank++) {
                    for (int i = 0; i < HEAD_DIMS.length; i++) {
                        AttentionShape shape = AttentionShape.of(dtype, 203)
                                .rank(rank, degree)
                                .batch(2)
                                .heads(2, 1 << i % 4, HEAD_DIMS[i])
                                .layout(Layout.PADDED);
                        shapes.add(
                                switch ((degree * (degree - 1) / 2 + rank + i) % 3) {
                                    case 0 -> shape;
                                    case 1 -> shape.window(50);
                                    default -> shape.documents(70, 100, 33);
                                });
                    }
                }
            }
            shapes.add(AttentionShape.of(dtype, 2048).heads(1, 4, 128));
            shapes.add(AttentionShape.of(dtype, 1999).heads(2, 1, 64).rank(1, 4).window(700));
        }
        return shapes.build();
    }

    private static Stream<AttentionShape> lengths(DType dtype) {
        return Stream.concat(
                IntStream.of(LENGTHS).mapToObj(seq -> AttentionShape.of(dtype, seq)),
                Stream.of(AttentionShape.of(dtype, 1021).heads(1, 2, 64)));
    }

    private static Stream<AttentionShape> headDims(DType dtype) {
        return IntStream.of(HEAD_DIMS)
                .mapToObj(headDim ->
                        AttentionShape.of(dtype, 67).heads(1, 2, headDim).layout(Layout.MISALIGNED));
    }

    private static Stream<AttentionShape> ranks(DType dtype, int seq) {
        return IntStream.rangeClosed(1, 4)
                .boxed()
                .flatMap(degree -> IntStream.range(0, degree)
                        .mapToObj(rank -> AttentionShape.of(dtype, seq + degree)
                                .rank(rank, degree)
                                .batch(2)
                                .heads(1 + rank % 2, 1 << (degree + rank) % 4, 24)));
    }

    private static Stream<AttentionShape> masks(DType dtype) {
        AttentionShape shape = AttentionShape.of(dtype, 150).heads(2, 2, 40);
        Stream<AttentionShape> windows =
                IntStream.of(1, 2, 50, 63, 64, 65, 150, 1000).mapToObj(shape::window);
        Stream<AttentionShape> documents = Stream.of(
                shape.documents(1),
                shape.documents(64),
                shape.documents(1, 1, 62, 65).batch(2),
                shape.documents(70, 33).rank(1, 3).batch(2),
                shape.documents(70, 33).window(20).rank(0, 2));
        Stream<AttentionShape> emptyChunks = IntStream.range(0, 4)
                .mapToObj(rank -> AttentionShape.of(dtype, 5).rank(rank, 4));
        return Stream.of(windows, documents, emptyChunks).flatMap(shapes -> shapes);
    }

    private static Stream<AttentionShape> layouts(DType dtype) {
        return Stream.of(Layout.MISALIGNED, Layout.PADDED)
                .map(layout ->
                        AttentionShape.of(dtype, 97).heads(3, 2, 24).rank(1, 2).layout(layout));
    }

    /** Scores in the hundreds, where softmax picks one key, and equal scores, where it averages. */
    private static Stream<AttentionShape> values(DType dtype) {
        return Stream.of(0.0, 1e-3, 100.0)
                .map(deviation -> AttentionShape.of(dtype, 90).heads(1, 4, 64).deviation(deviation));
    }

    private static void setUp(AttentionShape shape, Trial trial) {
        TokenPlacement own = shape.tokens(shape.rank());
        long rows = own.rows() + 2 * SPARE_ROWS;
        long keyRows = (long) shape.batch() * shape.seq();
        long heads = (long) shape.kvHeads() * shape.ratio();
        Tensor q = trial.input("q", shape.dtype(), shape.deviation(), shape.layout(), rows, heads, shape.headDim());
        Tensor keysAndValues = trial.input(
                "k and v", shape.dtype(), 1, shape.layout(), keyRows, 2L * shape.kvHeads(), shape.headDim());
        judge(
                trial,
                new Attention(
                        q,
                        keysAndValues.slice(1, 0, shape.kvHeads()),
                        keysAndValues.slice(1, shape.kvHeads(), shape.kvHeads()),
                        kvStart(shape, own, rows, trial),
                        trial.output("out", shape.dtype(), shape.layout(), rows, heads, shape.headDim()),
                        trial.output("lse", DType.F32, shape.layout(), rows, heads),
                        chunks(own, SPARE_ROWS),
                        gathered(shape, 0),
                        shape.batch(),
                        shape.window(),
                        (float) (1 / Math.sqrt(shape.headDim()))));
    }

    /** A document's first key for each row; the rows before the first chunk have none of this. */
    static @Nullable Tensor kvStart(AttentionShape shape, TokenPlacement own, long rows, Trial trial) {
        if (shape.documents() == null) {
            return null;
        }
        double[] starts = new double[Math.toIntExact(rows)];
        own.forEach((row, sequence, token) -> {
            int start = 0;
            for (int length : shape.documents()) {
                start = start + length <= token ? start + length : start;
            }
            starts[Math.toIntExact(SPARE_ROWS + row)] = start;
        });
        return trial.input("kvStart", DType.I32, starts, Layout.MISALIGNED, rows);
    }

    /** Chunks of all ranks, whose rows stand one rank after the other, in the order of the sequence. */
    static List<Chunk> gathered(AttentionShape shape, long begin) {
        List<Chunk> chunks = new ArrayList<>();
        long firstRow = begin;
        for (int rank = 0; rank < shape.degree(); rank++) {
            chunks.addAll(chunks(shape.tokens(rank), firstRow));
            firstRow += shape.tokens(rank).rows();
        }
        chunks.sort(Comparator.comparingLong(Chunk::start));
        return chunks;
    }

    static List<Chunk> chunks(TokenPlacement tokens, long firstRow) {
        List<Chunk> chunks = new ArrayList<>();
        long row = firstRow;
        for (Range range : tokens.chunks()) {
            chunks.add(new Chunk(row, tokens.tokensPerSequence(), range.count(), range.from()));
            row += range.count();
        }
        return chunks;
    }

    private static void withoutKeys(DType dtype, Trial trial) {
        small(dtype, trial, 0, List.of());
    }

    /** The first queries see nothing; the last chunk's kvStart lies behind itself. */
    private static void keysAfterQueries(DType dtype, Trial trial) {
        small(dtype, trial, 70, List.of(new Chunk(0, 70, 70, 40)));
    }

    private static void small(DType dtype, Trial trial, long keys, List<Chunk> keyChunks) {
        Tensor q = trial.input("q", dtype, 1, Layout.DENSE, 100, 4, 16);
        double[] starts =
                IntStream.range(0, 100).mapToDouble(i -> i < 80 ? 0 : 1000).toArray();
        judge(
                trial,
                new Attention(
                        q,
                        trial.input("k", dtype, 1, Layout.DENSE, keys, 2, 16),
                        trial.input("v", dtype, 1, Layout.DENSE, keys, 2, 16),
                        trial.input("kvStart", DType.I32, starts, Layout.DENSE, 100),
                        trial.output("out", dtype, Layout.DENSE, 100, 4, 16),
                        trial.output("lse", DType.F32, Layout.DENSE, 100, 4),
                        List.of(new Chunk(0, 100, 100, 0)),
                        keyChunks,
                        1,
                        0,
                        0.25f));
    }

    private static void judge(Trial trial, Attention op) {
        trial.run(op);
        expect(trial, op);
    }

    static void expect(Trial trial, Attention op) {
        Precision precision = Precision.of(op.q().dtype());
        Bounds out =
                trial.like((values, rounding) -> AttentionReference.of(op, values, rounding).out, precision, precision);
        trial.expect(op.out(), out.keepingUndefined());
        Tensor lse = op.lse();
        if (lse != null) {
            // A weight need not be better than the dtype of V can hold; their sum then is as good as one of them.
            Bounds bounds = trial.like(
                            (values, rounding) -> AttentionReference.of(op, values, rounding).lse,
                            precision,
                            Precision.F32)
                    .widened(precision.unitRoundoff());
            trial.expect(lse, bounds.keepingUndefined());
        }
    }
}
