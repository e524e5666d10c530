package io.tsp.report;

import java.util.List;

/**
 * A kind of document that figures are drawn from.
 *
 * @param mark the member that documents of this kind have, and no others
 * @param shape the members that figures use
 */
record ResultKind(String mark, ObjectShape shape) {
    static final ResultKind COMPARISON = new ResultKind(
            "schemes",
            conditions()
                    .with(Shape.COUNT, "threads")
                    .with(scheme().list(), "schemes")
                    .requiring("mode", "model", "dtype", "batch", "seq", "device", "schemes"));

    static final ResultKind PLAN = new ResultKind(
            "candidates",
            conditions()
                    .with(Shape.COUNT, "recommended")
                    .with(candidate().list(), "candidates")
                    .requiring("candidates"));

    /** A line of a log for each step. */
    static final ResultKind TRAINING = new ResultKind(
            "step",
            new ObjectShape()
                    .with(Shape.COUNT, "step", "tokens", "peakBytes")
                    .with(Shape.AMOUNT, "loss", "gradNorm", "learningRate", "tokensPerSecond")
                    .with(Shape.AMOUNT, "exposedTransferSeconds", "evaluationLoss")
                    .requiring("step", "tokens"));

    /** All of them. */
    static final List<ResultKind> ALL = List.of(COMPARISON, PLAN, TRAINING);

    private static ObjectShape conditions() {
        return new ObjectShape()
                .with(Shape.TEXT, "mode", "model", "dtype", "device", "profile", "profileHash")
                .with(Shape.COUNT, "batch", "seq");
    }

    private static ObjectShape scheme() {
        return new ObjectShape()
                .with(Shape.TEXT, "scheme", "status", "reason")
                .with(Shape.COUNT, "ranks", "plannedPeakBytes", "measuredPeakBytes", "bytesSent")
                .with(Shape.AMOUNT, "tokensPerSecond", "stepSeconds", "skewSeconds", "exposedTransferSeconds")
                .with(Shape.AMOUNT, "maxError")
                .with(Shape.COUNT.byName(), "bytesByClass")
                .requiring("scheme", "ranks");
    }

    private static ObjectShape candidate() {
        return new ObjectShape()
                .with(Shape.TEXT, "scheme", "mode", "dtype", "recompute")
                .with(Shape.COUNT, "ranks", "dp", "degree", "batch", "seq", "bytesPerRank")
                .with(Shape.AMOUNT, "stepSeconds", "tokensPerSecond", "exposedTransferSeconds")
                .with(Shape.COUNT.byName(), "bytesByClass")
                .with(Shape.FLAG, "fits")
                .requiring("scheme", "ranks");
    }
}
