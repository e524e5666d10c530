package io.tsp.parity;

/**
 * The loss in float64 of given logits.
 *
 * @param mean over the labels that count, in nats
 * @param rounding what fp32 may make of it
 */
record LossOfLogits(double mean, double rounding) {
    private static final double F32_ROUNDING = 0x1p-24;

    /** @param labels one for each row of logits, negative where it does not count */
    static LossOfLogits of(float[] logits, int[] labels) {
        int vocab = logits.length / labels.length;
        double sum = 0;
        double largest = 0;
        int count = 0;
        for (int row = 0; row < labels.length; row++) {
            double top = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < vocab; i++) {
                top = Math.max(top, logits[row * vocab + i]);
                largest = Math.max(largest, Math.abs(logits[row * vocab + i]));
            }
            double exponentials = 0;
            for (int i = 0; i < vocab; i++) {
                exponentials += Math.exp(logits[row * vocab + i] - top);
            }
            if (labels[row] >= 0) {
                sum += top + Math.log(exponentials) - logits[row * vocab + labels[row]];
                count++;
            }
        }
        // A sum of V exponentials of a few roundings each, then three numbers no larger than twice the largest logit.
        double rounding = (vocab + 8 + 3 * 2 * largest) * F32_ROUNDING;
        return new LossOfLogits(sum / count, rounding);
    }
}
