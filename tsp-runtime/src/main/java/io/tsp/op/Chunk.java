package io.tsp.op;

/**
 * A run of consecutive tokens of every sequence of a batch, as rows of a tensor: token i of sequence b stands in row
 * firstRow + b * batchRows + i, and its index in the whole sequence is start + i.
 */
public record Chunk(long firstRow, long batchRows, long count, long start) {
    /** Index behind the last token, in the whole sequence. */
    public long end() {
        return start + count;
    }
}
