package io.tsp.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.mesh.HeadBuckets.Bucket;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that a head is computed twice or never, or read before its keys and values were gathered. */
class HeadBucketsTest {
    /** Called for 1 to 6 key/value heads, 1 to 5 query heads for each, 1 to 17 ranks. */
    private interface Claim {
        void check(List<Bucket> buckets, int perGroup, int kvHeads, int degree);
    }

    private static void forAll(Claim claim) {
        for (int kvHeads = 1; kvHeads <= 6; kvHeads++) {
            for (int perGroup = 1; perGroup <= 5; perGroup++) {
                for (int degree = 1; degree <= 17; degree++) {
                    claim.check(HeadBuckets.of(kvHeads * perGroup, kvHeads, degree), perGroup, kvHeads, degree);
                }
            }
        }
    }

    @Test
    void everyHeadIsInOneBucket() {
        forAll((buckets, perGroup, kvHeads, degree) -> {
            assertEquals(degree, buckets.size());
            int[] heads = new int[perGroup * kvHeads];
            int[] kvHeadOwners = new int[kvHeads];
            for (int i = 0; i < degree; i++) {
                assertEquals(i, buckets.get(i).index());
                count(buckets.get(i).heads(), heads);
                count(buckets.get(i).kvOwned(), kvHeadOwners);
            }
            assertAllOne(heads);
            assertAllOne(kvHeadOwners);
        });
    }

    private static void count(Range range, int[] counts) {
        for (long i = range.from(); i < range.to(); i++) {
            counts[(int) i]++;
        }
    }

    private static void assertAllOne(int[] counts) {
        for (int count : counts) {
            assertEquals(1, count);
        }
    }

    @Test
    void bucketsAreWholeGroupsOrPartOfOne() {
        forAll((buckets, perGroup, kvHeads, degree) -> {
            for (Bucket bucket : buckets) {
                Range heads = bucket.heads();
                boolean whole = heads.from() % perGroup == 0 && heads.to() % perGroup == 0;
                boolean ofOne = heads.isEmpty() || heads.from() / perGroup == (heads.to() - 1) / perGroup;
                assertTrue(whole || ofOne, bucket + " spans groups of " + perGroup);
            }
        });
    }

    @Test
    void usedKeysAreThoseOfTheQueryHeads() {
        forAll((buckets, perGroup, kvHeads, degree) -> {
            for (Bucket bucket : buckets) {
                Range heads = bucket.heads();
                assertEquals(heads.isEmpty(), bucket.isEmpty());
                assertEquals(heads.isEmpty(), bucket.kvUsed().isEmpty());
                if (!heads.isEmpty()) {
                    assertEquals(heads.from() / perGroup, bucket.kvUsed().from());
                    assertEquals(
                            Math.ceilDiv(heads.to(), perGroup), bucket.kvUsed().to());
                }
            }
        });
    }

    /** What a bucket reads is owned by itself or by the latest owner before it: the buffer that is gathered last. */
    @Test
    void usedKeysAreThoseGatheredLast() {
        forAll((buckets, perGroup, kvHeads, degree) -> {
            Range latest = new Range(0, 0);
            for (Bucket bucket : buckets) {
                latest = bucket.kvOwned().isEmpty() ? latest : bucket.kvOwned();
                if (!bucket.isEmpty()) {
                    assertEquals(latest, bucket.kvUsed(), () -> bucket + " of " + buckets);
                }
            }
        });
    }

    @Test
    void headsAreSpreadEvenly() {
        forAll((buckets, perGroup, kvHeads, degree) -> {
            long most = buckets.stream().mapToLong(b -> b.heads().count()).max().orElseThrow();
            long ranksPerGroup = Math.max(1, degree / kvHeads);
            long groupsPerRank = Math.ceilDiv(kvHeads, degree);
            assertTrue(most <= Math.ceilDiv(perGroup, ranksPerGroup) * groupsPerRank, buckets::toString);
        });
    }
}
