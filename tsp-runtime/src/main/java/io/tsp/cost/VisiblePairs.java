package io.tsp.cost;

import io.tsp.op.Chunk;
import java.util.List;

/** How many keys all queries of a causal attention see together: a pure function of its chunk tables. */
final class VisiblePairs {
    private VisiblePairs() {}

    /**
     * Pairs of a query and a key it sees, of one head and one sequence. Documents that do not see each other are data,
     * not shape, so a packed sequence counts as one document.
     *
     * @param window keys that a query sees, itself included; 0 for all
     */
    static long count(List<Chunk> queries, List<Chunk> keys, long window) {
        long pairs = 0;
        for (Chunk query : queries) {
            for (Chunk key : keys) {
                pairs += behind(query, key, 0);
                if (window > 0) {
                    pairs -= behind(query, key, window);
                }
            }
        }
        return pairs;
    }

    /** The most keys that one query sees. */
    static long most(List<Chunk> queries, List<Chunk> keys, long window) {
        long last = queries.stream()
                .filter(chunk -> chunk.count() > 0)
                .mapToLong(Chunk::end)
                .max()
                .orElse(0);
        long seen = keys.stream()
                .mapToLong(key -> Math.clamp(last - key.start(), 0, key.count()))
                .sum();
        return window > 0 ? Math.min(window, seen) : seen;
    }

    /** Pairs in which the key is at least distance tokens before the query. */
    private static long behind(Chunk query, Chunk key, long distance) {
        long first = query.start() + 1 - distance - key.start();
        return clampedSum(first + query.count() - 1, key.count()) - clampedSum(first - 1, key.count());
    }

    /** The sum of clamp(t, 0, most) over all t up to last. */
    private static long clampedSum(long last, long most) {
        if (last <= 0) {
            return 0;
        }
        long slope = Math.min(last, most);
        return slope * (slope + 1) / 2 + (last - slope) * most;
    }
}
