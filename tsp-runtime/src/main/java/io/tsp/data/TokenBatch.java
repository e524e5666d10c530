package io.tsp.data;

import java.util.Arrays;

/**
 * B sequences of S tokens, row-major [B, S], with everything that a step needs to know of them. The arrays are not
 * copied and must not be changed.
 *
 * @param ids token ids, each in [0, vocabulary)
 * @param labels the token that each token shall predict, {@link #IGNORED} where none counts (the labels of Hugging Face
 *     shifted by one: the shift is done here, so a sequence shard needs no token of its neighbour)
 * @param positions position in its document, for rotary embeddings
 * @param kvStart first token that each token may attend to, as an index in its sequence: where its document starts
 */
@SuppressWarnings("ArrayRecordComponent") // shared, not copied: see above
public record TokenBatch(int batch, int seq, int[] ids, int[] labels, int[] positions, int[] kvStart) {
    /** The label of a token that does not count in the loss. */
    public static final int IGNORED = -1;

    public TokenBatch {
        requireSize(batch, seq, ids, labels, positions, kvStart);
    }

    /** Sequences of one document each, where every token but the last predicts the next. */
    public static TokenBatch of(int batch, int seq, int[] ids) {
        return of(batch, seq, ids, ids, new int[ids.length]);
    }

    /**
     * Shifts labels and finds documents.
     *
     * @param unshifted label i names token i itself, negative where it does not count
     * @param documents tokens of a sequence with the same number are one document; documents follow each other
     */
    static TokenBatch of(int batch, int seq, int[] ids, int[] unshifted, int[] documents) {
        requireSize(batch, seq, ids, unshifted, documents);
        int[] labels = new int[ids.length];
        int[] positions = new int[ids.length];
        int[] kvStart = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            int inRow = i % seq;
            boolean starts = inRow == 0 || documents[i] != documents[i - 1];
            boolean ends = inRow == seq - 1 || documents[i] != documents[i + 1];
            kvStart[i] = starts ? inRow : kvStart[i - 1];
            positions[i] = inRow - kvStart[i];
            labels[i] = ends ? IGNORED : Math.max(unshifted[i + 1], IGNORED);
        }
        return new TokenBatch(batch, seq, ids, labels, positions, kvStart);
    }

    /** Number of tokens whose label counts in the loss. */
    public long labelCount() {
        return Arrays.stream(labels).filter(label -> label != IGNORED).count();
    }

    private static void requireSize(int batch, int seq, int[]... columns) {
        if (batch < 1 || seq < 1) {
            throw new IllegalArgumentException("a batch has at least one token, not " + batch + " x " + seq);
        }
        for (int[] column : columns) {
            if (column.length != (long) batch * seq) {
                throw new IllegalArgumentException(
                        "a batch of " + batch + " x " + seq + " tokens got " + column.length + " values");
            }
        }
    }
}
