package io.tsp.cost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.mesh.Range;
import io.tsp.mesh.Zigzag;
import io.tsp.op.Chunk;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A failure means that the simulator takes attention for more or less work than it is. */
class VisiblePairsTest {
    @Test
    void countsAsMaskDoes() {
        Random random = new Random(5);
        for (int trial = 0; trial < 2000; trial++) {
            List<Chunk> queries = chunks(random);
            List<Chunk> keys = chunks(random);
            long window = random.nextInt(3) == 0 ? 1 + random.nextInt(12) : 0;
            long pairs = 0;
            long most = 0;
            for (Chunk query : queries) {
                for (long q = query.start(); q < query.end(); q++) {
                    long seen = seen(q, keys, window);
                    pairs += seen;
                    most = Math.max(most, seen);
                }
            }
            String what = queries + " on " + keys + ", window " + window;
            assertEquals(pairs, VisiblePairs.count(queries, keys, window), what);
            // These key chunks may overlap, which those of programs do not.
            long bound = window > 0 ? Math.min(window, most) : most;
            assertTrue(VisiblePairs.most(queries, keys, window) >= bound, what);
        }
    }

    private static long seen(long query, List<Chunk> keys, long window) {
        long seen = 0;
        for (Chunk key : keys) {
            for (long k = key.start(); k < key.end(); k++) {
                seen += k <= query && (window == 0 || k > query - window) ? 1 : 0;
            }
        }
        return seen;
    }

    private static List<Chunk> chunks(Random random) {
        List<Chunk> chunks = new ArrayList<>();
        for (int i = random.nextInt(3); i >= 0; i--) {
            chunks.add(new Chunk(0, 0, random.nextInt(9), random.nextInt(20)));
        }
        return chunks;
    }

    /** Zigzag order is there to make this so. */
    @Test
    void zigzagIsBalanced() {
        long seq = 1 << 17;
        List<Chunk> all = List.of(new Chunk(0, 0, seq, 0));
        for (int degree : new int[] {2, 4, 8, 64}) {
            for (int rank = 0; rank < degree; rank++) {
                long pairs = VisiblePairs.count(
                        Zigzag.chunks(seq, degree, rank).stream()
                                .map(VisiblePairsTest::chunk)
                                .toList(),
                        all,
                        0);
                assertEquals(seq * (seq + 1) / 2 / degree, pairs, "rank " + rank + " of " + degree);
            }
        }
    }

    private static Chunk chunk(Range range) {
        return new Chunk(0, 0, range.count(), range.from());
    }
}
