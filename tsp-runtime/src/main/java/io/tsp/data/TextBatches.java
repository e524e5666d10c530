package io.tsp.data;

import java.util.Arrays;

/**
 * A text cut into batches of B sequences of S tokens, in order. Every token is in exactly one sequence; what the last
 * batch lacks is filled with token 0, which is not a label, so that a mean over labels is that of the text.
 */
public final class TextBatches {
    private final int[] ids;
    private final int batch;
    private final int seq;

    /**
     * Cuts a text.
     *
     * @throws IllegalArgumentException if there is no token, or no room for one
     */
    public TextBatches(int[] ids, int batch, int seq) {
        if (ids.length == 0) {
            throw new IllegalArgumentException("the text has no tokens, give a longer one");
        }
        if (batch < 1 || seq < 1) {
            throw new IllegalArgumentException("a batch has at least one token, not " + batch + " x " + seq);
        }
        this.ids = ids.clone();
        this.batch = batch;
        this.seq = seq;
    }

    /** Number of batches, the last filled up. */
    public int count() {
        return Math.toIntExact(Math.ceilDiv(ids.length, (long) batch * seq));
    }

    /** Batch number index, from 0 to {@link #count} - 1. */
    public TokenBatch get(int index) {
        int size = Math.multiplyExact(batch, seq);
        int first = Math.multiplyExact(index, size);
        int real = Math.min(size, ids.length - first);
        int[] part = Arrays.copyOfRange(ids, first, first + real);
        int[] labels = Arrays.copyOf(part, size);
        Arrays.fill(labels, real, size, TokenBatch.IGNORED);
        return TokenBatch.of(batch, seq, Arrays.copyOf(part, size), labels, new int[size]);
    }
}
