package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.HeadBuckets;
import io.tsp.mesh.HeadBuckets.Bucket;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.AttentionShard;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** The buckets of heads, and the slots that their weights, queries, keys and values pass through in every layer. */
final class TspAttentionSlots {
    /** In use, projected next, arriving. */
    private static final int WEIGHT_SLOTS = 3;
    /** Backward, one more: its keys' and values' gradients are on their way. */
    private static final int TRAINING_WEIGHT_SLOTS = 4;

    private static final int KV_SLOTS = 2;

    final RankBuilder builder;
    final Group group;
    final int self;
    final List<Bucket> buckets;
    final List<AttentionShard> shards = new ArrayList<>();
    private final long[] firstRows;
    private final long ownRows;
    private final List<Tensor> weightSlots = new ArrayList<>();
    private final List<Tensor> kvSlots = new ArrayList<>();
    private final List<Tensor> querySlots = new ArrayList<>();
    private final Tensor attended;

    TspAttentionSlots(RankBuilder builder, Group group, List<TokenPlacement> placements) {
        this.builder = builder;
        this.group = group;
        this.self = group.indexOf(builder.program().rank());
        firstRows = new long[group.size() + 1];
        for (int i = 0; i < group.size(); i++) {
            firstRows[i + 1] = firstRows[i] + placements.get(i).rows();
        }
        ownRows = placements.get(self).rows();
        buckets = HeadBuckets.of(builder.config().heads(), builder.config().kvHeads(), group.size());
        buckets.forEach(bucket ->
                shards.add(new AttentionShard(builder.config(), builder.dtype(), bucket.heads(), bucket.kvOwned())));
        allocate();
        attended = builder.activation("attended", builder.dtype(), ownRows, widestQueries());
    }

    /** Each slot as large as what it will hold: shards of other ranks, and gathered keys and values. */
    private void allocate() {
        int slots = builder.training() == null ? WEIGHT_SLOTS : TRAINING_WEIGHT_SLOTS;
        long[] weights = new long[Math.min(slots, group.size() - 1)];
        long[] keysAndValues = new long[KV_SLOTS];
        for (int r = 0; r < group.size(); r++) {
            if (r != self) {
                int slot = arrival(r) % weights.length;
                weights[slot] = Math.max(weights[slot], shards.get(r).count());
            }
            int slot = kvOrdinal(r) % KV_SLOTS;
            keysAndValues[slot] = Math.max(keysAndValues[slot], allRows() * kvWidth(r));
        }
        for (int i = 0; i < weights.length; i++) {
            weightSlots.add(builder.arrival("attention weights " + i, weights[i]));
        }
        for (int i = 0; i < KV_SLOTS; i++) {
            kvSlots.add(builder.arrival("gathered keys and values " + i, keysAndValues[i]));
            querySlots.add(builder.activation("queries " + i, builder.dtype(), ownRows, widestQueries()));
        }
    }

    /** Place of another rank's bucket among those that arrive here. */
    private int arrival(int r) {
        return r < self ? r : r - 1;
    }

    /** How many buckets before r own keys and values; slots alternate, and one stays in use until its last bucket. */
    int kvOrdinal(int r) {
        return (int) buckets.subList(0, r).stream()
                .filter(bucket -> !bucket.kvOwned().isEmpty())
                .count();
    }

    /** Columns of the keys and values that bucket r owns. */
    long kvWidth(int r) {
        return 2 * buckets.get(r).kvOwned().count() * builder.config().headDim();
    }

    /** Columns of bucket r's queries. */
    long queryWidth(int r) {
        return buckets.get(r).heads().count() * builder.config().headDim();
    }

    long widestQueries() {
        long widest = 0;
        for (int r = 0; r < group.size(); r++) {
            widest = Math.max(widest, queryWidth(r));
        }
        return widest;
    }

    long widestKeysAndValues() {
        long widest = 0;
        for (int r = 0; r < group.size(); r++) {
            widest = Math.max(widest, kvWidth(r));
        }
        return widest;
    }

    /** Tokens of this rank. */
    long ownRows() {
        return ownRows;
    }

    /** Tokens of the group. */
    long allRows() {
        return firstRows[group.size()];
    }

    /** The buffer that bucket r's weights arrive in. */
    Tensor weights(int r) {
        return weightSlots
                .get(arrival(r) % weightSlots.size())
                .rows(0, shards.get(r).count());
    }

    /** Gathered keys and values that bucket r owns, [rows of the group, 2 m d]. */
    Tensor keysAndValues(int r) {
        return matrix(kvSlots.get(kvOrdinal(r) % KV_SLOTS), allRows(), kvWidth(r));
    }

    /** Each rank's rows of a matrix with the tokens of the group. */
    List<Tensor> parts(Tensor gathered) {
        List<Tensor> parts = new ArrayList<>();
        for (int i = 0; i < group.size(); i++) {
            parts.add(gathered.rows(firstRows[i], firstRows[i + 1] - firstRows[i]));
        }
        return parts;
    }

    Tensor queries(int r) {
        return matrix(querySlots.get(r % querySlots.size()), ownRows, queryWidth(r));
    }

    /** Attention's output, unless it is kept. */
    Tensor attended(int r) {
        return matrix(attended, ownRows, queryWidth(r));
    }

    /** The first elements of a slot as a dense matrix. */
    static Tensor matrix(Tensor slot, long rows, long columns) {
        return slot.reshape(slot.count()).rows(0, rows * columns).reshape(rows, columns);
    }
}
