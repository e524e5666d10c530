package io.tsp.mesh;

import java.util.ArrayList;
import java.util.List;

/**
 * Which heads each rank's weight shard holds. A bucket is either whole groups (a key/value head with all its query
 * heads) or a part of one group, never parts of two: then attention over a bucket reads one gathered K/V buffer. Any
 * degree works; beyond the number of heads buckets are empty.
 */
public final class HeadBuckets {
    /**
     * Heads of one weight shard.
     *
     * @param heads query heads
     * @param kvOwned key/value heads whose projections live here: each head has exactly one owner
     * @param kvUsed key/value heads that the query heads read; the owner is this bucket or an earlier one
     */
    public record Bucket(int index, Range heads, Range kvOwned, Range kvUsed) {
        public boolean isEmpty() {
            return heads.isEmpty();
        }
    }

    private HeadBuckets() {}

    public static List<Bucket> of(int heads, int kvHeads, int degree) {
        return degree <= kvHeads ? wholeGroups(heads, kvHeads, degree) : partsOfGroups(heads, kvHeads, degree);
    }

    private static List<Bucket> wholeGroups(int heads, int kvHeads, int degree) {
        int perGroup = heads / kvHeads;
        List<Bucket> buckets = new ArrayList<>();
        for (int i = 0; i < degree; i++) {
            Range kv = Range.part(kvHeads, degree, i);
            buckets.add(new Bucket(i, new Range(kv.from() * perGroup, kv.to() * perGroup), kv, kv));
        }
        return buckets;
    }

    private static List<Bucket> partsOfGroups(int heads, int kvHeads, int degree) {
        int perGroup = heads / kvHeads;
        List<Bucket> buckets = new ArrayList<>();
        for (int group = 0; group < kvHeads; group++) {
            Range ranks = Range.part(degree, kvHeads, group);
            long first = (long) group * perGroup;
            boolean owned = false;
            for (long i = ranks.from(); i < ranks.to(); i++) {
                Range part = Range.part(perGroup, (int) ranks.count(), (int) (i - ranks.from()));
                Range kv = part.isEmpty() ? new Range(group, group) : new Range(group, group + 1);
                boolean owns = !owned && !part.isEmpty();
                owned |= owns;
                Range mine = owns ? kv : new Range(kv.to(), kv.to());
                buckets.add(new Bucket((int) i, new Range(first + part.from(), first + part.to()), mine, kv));
            }
        }
        return buckets;
    }
}
