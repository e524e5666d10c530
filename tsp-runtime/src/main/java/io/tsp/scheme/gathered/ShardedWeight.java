package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * One kind of weight that is stored in shards and used whole: a slot that holds one gathered weight at a time. The next
 * layer's weight arrives as soon as the last use of this one is over.
 */
final class ShardedWeight {
    private final ProgramBuilder program;
    private final Group group;
    private final int self;
    private final Tensor whole;
    private final List<Tensor> parts = new ArrayList<>();

    /** @param counts elements of each rank's shard; one after the other they are the whole weight */
    ShardedWeight(RankBuilder builder, String name, Group group, List<Long> counts) {
        this.program = builder.program();
        this.group = group;
        this.self = group.indexOf(program.rank());
        whole = builder.arrival(
                "whole " + name, counts.stream().mapToLong(Long::longValue).sum());
        long first = 0;
        for (long count : counts) {
            parts.add(whole.rows(first, count));
            first += count;
        }
    }

    /** The whole weight, one dimension, gathered from this rank's shard and its peers'. */
    Tensor gather(Tensor shard) {
        if (group.size() == 1) {
            return shard;
        }
        program.communicate(Lane.WEIGHTS, new AllGather(group, self, shard, parts));
        return whole;
    }
}
