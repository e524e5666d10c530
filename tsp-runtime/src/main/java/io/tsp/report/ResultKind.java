package io.tsp.report;

/** The documents that figures are drawn from, with the members that figures use. */
enum ResultKind {
    COMPARISON(
            "schemes",
            conditions()
                    .with(Shape.COUNT, "threads")
                    .with(scheme().list(), "schemes")
                    .requiring("mode", "model", "dtype", "batch", "seq", "device", "schemes")),
    PLAN(
            "candidates",
            conditions()
                    .with(Shape.COUNT, "recommended")
                    .with(candidate().list(), "candidates")
                    .requiring("candidates")),
    /** A line of a log for each step. */
    TRAINING(
            "step",
            new ObjectShape()
                    .with(Shape.COUNT, "step", "tokens", "peakBytes")
                    .with(Shape.AMOUNT, "loss", "gradNorm", "learningRate", "tokensPerSecond")
                    .with(Shape.AMOUNT, "exposedTransferSeconds", "evaluationLoss")
                    .requiring("step", "tokens"));

    private final String mark;
    private final ObjectShape shape;

    ResultKind(String mark, ObjectShape shape) {
        this.mark = mark;
        this.shape = shape;
    }

    /** The member that documents of this kind have, and no others. */
    String mark() {
        return mark;
    }

    ObjectShape shape() {
        return shape;
    }

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
                .with(Shape.TEXT, "scheme", "mode", "dtype")
                .with(Shape.COUNT, "ranks", "dp", "degree", "batch", "seq", "bytesPerRank")
                .with(Shape.AMOUNT, "stepSeconds", "tokensPerSecond", "exposedTransferSeconds")
                .with(Shape.COUNT.byName(), "bytesByClass")
                .with(Shape.FLAG, "fits")
                .requiring("scheme", "ranks");
    }
}
