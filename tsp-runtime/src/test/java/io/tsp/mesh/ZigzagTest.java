package io.tsp.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that a token has no owner or two, or that causal attention leaves ranks idle. */
class ZigzagTest {
    @Test
    void everyTokenHasOneOwner() {
        for (int degree = 1; degree <= 9; degree++) {
            for (long seq = 0; seq <= 45; seq++) {
                int[] owners = new int[(int) seq];
                for (int rank = 0; rank < degree; rank++) {
                    for (Range chunk : Zigzag.chunks(seq, degree, rank)) {
                        for (long token = chunk.from(); token < chunk.to(); token++) {
                            owners[(int) token]++;
                        }
                    }
                }
                int[] once = new int[(int) seq];
                Arrays.fill(once, 1);
                assertArrayEquals(once, owners, seq + " tokens on " + degree + " ranks");
            }
        }
    }

    @Test
    void chunksAscend() {
        for (int degree = 1; degree <= 9; degree++) {
            for (long seq = 0; seq <= 45; seq++) {
                for (int rank = 0; rank < degree; rank++) {
                    List<Range> chunks = Zigzag.chunks(seq, degree, rank);
                    assertEquals(degree == 1 ? 1 : 2, chunks.size());
                    assertTrue(chunks.getFirst().to() <= chunks.getLast().from() || degree == 1);
                }
            }
        }
    }

    /** Rank 0 owns the first and the last chunk: the pair of chunk p is the p-th from the end. */
    @Test
    void pairsEarlyChunksWithLateOnes() {
        assertEquals(List.of(new Range(0, 2), new Range(14, 16)), Zigzag.chunks(16, 4, 0));
        assertEquals(List.of(new Range(6, 8), new Range(8, 10)), Zigzag.chunks(16, 4, 3));
    }

    /** Token t attends to t + 1 keys; where chunks are equal the sum is the same on every rank. */
    @Test
    void causalWorkIsBalanced() {
        for (int degree = 1; degree <= 9; degree++) {
            for (long seq = 1; seq <= 200; seq++) {
                long[] work = new long[degree];
                for (int rank = 0; rank < degree; rank++) {
                    for (Range chunk : Zigzag.chunks(seq, degree, rank)) {
                        for (long token = chunk.from(); token < chunk.to(); token++) {
                            work[rank] += token + 1;
                        }
                    }
                }
                long spread = Arrays.stream(work).max().orElseThrow()
                        - Arrays.stream(work).min().orElseThrow();
                // Chunks differ by at most one token, and a token is at most seq keys' work: two chunks, two tokens.
                assertTrue(spread <= 2 * seq, seq + " tokens on " + degree + " ranks: " + Arrays.toString(work));
                if (seq % (2L * degree) == 0) {
                    assertEquals(0, spread, seq + " tokens on " + degree + " ranks");
                }
            }
        }
    }
}
