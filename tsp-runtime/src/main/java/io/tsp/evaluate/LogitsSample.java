package io.tsp.evaluate;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Logits of the reference, of every token or, where they would take too much memory, of tokens at even distances; and
 * how far another run's logits are from them.
 */
public final class LogitsSample {
    private final long seq;
    private final long tokens;
    private final float[][] reference;
    private final double largest;

    private LogitsSample(long seq, long tokens, float[][] reference, double largest) {
        this.seq = seq;
        this.tokens = tokens;
        this.reference = reference;
        this.largest = largest;
    }

    /**
     * Keeps the logits of a run of [batch, seq] tokens.
     *
     * @param maxBytes of the logits that are kept; those of one token always are
     */
    public static LogitsSample of(ForwardRunner runner, long batch, long seq, int vocab, long maxBytes) {
        long tokens = batch * seq;
        int count = (int) Math.clamp(maxBytes / ((long) vocab * Float.BYTES), 1, tokens);
        float[][] rows = new float[count][vocab];
        LogitsSample sample = new LogitsSample(seq, tokens, rows, 0);
        ByteBuffer row = row(vocab);
        double largest = 0;
        for (int i = 0; i < count; i++) {
            sample.read(runner, i, row);
            row.asFloatBuffer().get(rows[i]);
            for (float logit : rows[i]) {
                largest = Math.max(largest, Math.abs(logit));
            }
        }
        return new LogitsSample(seq, tokens, rows, largest);
    }

    /** Tokens whose logits are compared. */
    public int tokens() {
        return reference.length;
    }

    /** Largest difference to the reference, as a share of the largest logit of the reference; NaN if one is NaN. */
    public double maxError(ForwardRunner runner) {
        int vocab = reference[0].length;
        ByteBuffer row = row(vocab);
        double worst = 0;
        for (int i = 0; i < reference.length; i++) {
            read(runner, i, row);
            for (int id = 0; id < vocab; id++) {
                worst = Math.max(worst, Math.abs(row.getFloat(id * Float.BYTES) - (double) reference[i][id]));
            }
        }
        return worst == 0 ? 0 : worst / largest;
    }

    private void read(ForwardRunner runner, int index, ByteBuffer row) {
        long token = index * tokens / reference.length;
        runner.readLogits(token / seq, token % seq, row);
    }

    private static ByteBuffer row(int vocab) {
        return ByteBuffer.allocate(Math.multiplyExact(vocab, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    }
}
