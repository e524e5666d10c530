package io.tsp.device.conformance;

/**
 * dLogits = (softmax(logits) - [the label is here]) * scale for one vocabulary shard, 0 in rows without a label.
 *
 * @param logits [T, V] of the shard
 * @param labels [T], global ids
 * @param state of all shards
 */
record CrossEntropyBackwardReference(
        double[] logits, double[] labels, CrossEntropyReference state, int vocab, long vocabStart, double scale) {
    /** Of the difference and the product, each rounded once by fp32, with one more for a product of other factors. */
    private static final double FEW_ROUNDINGS = 3 * 0x1p-24;

    /** Smaller ones need not be told from 0. */
    private static final double LEAST_PROBABILITY = 0x1p-126;

    double[] dLogits() {
        double[] gradients = softmax(Precision.EXACT);
        for (int i = 0; i < gradients.length; i++) {
            gradients[i] = gradient(gradients[i], i);
        }
        return gradients;
    }

    /**
     * Probabilities differ by many orders of magnitude, so that errors are relative to them.
     *
     * @param stored what dLogits are rounded to
     */
    Bounds bounds(Precision stored) {
        double[] exact = softmax(Precision.EXACT);
        double error = 2 * relativeError(exact, softmax(Precision.F32));
        double[] low = new double[exact.length];
        double[] high = new double[exact.length];
        for (int i = 0; i < exact.length; i++) {
            double value = gradient(exact[i], i);
            boolean ignored = labels[i / vocab] < 0;
            double around = ignored
                    ? 0
                    : Math.abs(scale) * (exact[i] * error + LEAST_PROBABILITY) + Math.abs(value) * FEW_ROUNDINGS;
            low[i] = value - around;
            high[i] = value + around;
        }
        return Bounds.between(low, high).stored(stored);
    }

    private double gradient(double probability, int place) {
        long label = (long) labels[place / vocab];
        if (label < 0) {
            return 0;
        }
        return (label - vocabStart == place % vocab ? probability - 1 : probability) * scale;
    }

    private static double relativeError(double[] exact, double[] low) {
        double largest = 0;
        for (int i = 0; i < exact.length; i++) {
            if (exact[i] >= LEAST_PROBABILITY) {
                largest = Math.max(largest, Math.abs(low[i] - exact[i]) / exact[i]);
            }
        }
        return largest;
    }

    private double[] softmax(Precision precision) {
        double[] probabilities = new double[logits.length];
        for (int i = 0; i < logits.length; i++) {
            int t = i / vocab;
            double exponential = precision.exp(precision.step(logits[i] - state.maximum()[t]));
            probabilities[i] = precision.step(exponential / state.sum()[t]);
        }
        return probabilities;
    }
}
