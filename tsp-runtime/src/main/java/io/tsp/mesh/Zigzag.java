package io.tsp.mesh;

import java.util.List;

/**
 * Zigzag order: a sequence is cut into 2D chunks and rank p of D owns chunks p and 2D-1-p, so that causal attention is
 * the same work for all (Llama 3, arXiv 2407.21783, section 3.3.2). Chunks may be uneven or empty; nothing is padded.
 */
public final class Zigzag {
    private Zigzag() {}

    /** The two token ranges of a rank, ascending; with one rank the whole sequence is one range. */
    public static List<Range> chunks(long seq, int degree, int rank) {
        if (degree == 1) {
            return List.of(new Range(0, seq));
        }
        return List.of(Range.part(seq, 2 * degree, rank), Range.part(seq, 2 * degree, 2 * degree - 1 - rank));
    }
}
