package io.tsp.mesh;

import java.util.List;

/**
 * Which tokens of a batch [B, S] a rank holds, and in which order: for each sequence of the batch range, its chunks one
 * after the other; one row per token.
 *
 * @param batch sequences
 * @param chunks ranges of the sequence, ascending, the same for every sequence of the batch
 */
public record TokenPlacement(Range batch, List<Range> chunks) {
    public TokenPlacement {
        chunks = List.copyOf(chunks);
    }

    /** Tokens held of each sequence. */
    public long tokensPerSequence() {
        return chunks.stream().mapToLong(Range::count).sum();
    }

    /** Rows held: tokens of all sequences. */
    public long rows() {
        return batch.count() * tokensPerSequence();
    }

    /** Visits every row in order with its place in the batch. */
    public void forEach(RowVisitor visitor) {
        long row = 0;
        for (long sequence = batch.from(); sequence < batch.to(); sequence++) {
            for (Range chunk : chunks) {
                for (long token = chunk.from(); token < chunk.to(); token++) {
                    visitor.visit(row++, sequence, token);
                }
            }
        }
    }

    /** The row of a token, or -1 if it is not held. */
    public long rowOf(long sequence, long token) {
        if (sequence < batch.from() || sequence >= batch.to()) {
            return -1;
        }
        long row = (sequence - batch.from()) * tokensPerSequence();
        for (Range chunk : chunks) {
            if (token >= chunk.from() && token < chunk.to()) {
                return row + token - chunk.from();
            }
            row += chunk.count();
        }
        return -1;
    }

    /** Receives a local row, its sequence in the batch, and its token in the sequence. */
    @FunctionalInterface
    public interface RowVisitor {
        void visit(long row, long sequence, long token);
    }
}
