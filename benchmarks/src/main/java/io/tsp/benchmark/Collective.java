package io.tsp.benchmark;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The exchanges and what is known of each: its bandwidth on the wire and its exact result on integers.
 *
 * @see <a href="https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md">algbw and busbw</a>
 */
public enum Collective {
    BROADCAST,
    ALL_GATHER,
    REDUCE_SCATTER,
    ALL_REDUCE,
    ALL_TO_ALL,
    SEND_RECEIVE;

    private static final int ROOT = 0;

    /** busbw / algbw: bytes that the busiest link must carry for each byte of the buffer. */
    double busFactor(int ranks) {
        return switch (this) {
            case BROADCAST, SEND_RECEIVE -> 1;
            case ALL_GATHER, REDUCE_SCATTER, ALL_TO_ALL -> (ranks - 1.0) / ranks;
            case ALL_REDUCE -> 2 * (ranks - 1.0) / ranks;
        };
    }

    /**
     * One rank's op.
     *
     * @param buffer what is sent; the result too, unless the exchange has a second buffer
     * @param second as large as buffer
     */
    CommunicationOp op(Group group, int self, Tensor buffer, Tensor second) {
        int ranks = group.size();
        return switch (this) {
            case BROADCAST -> new Broadcast(group, self, ROOT, buffer);
            case ALL_GATHER -> AllGather.inPlace(group, self, parts(buffer, ranks));
            case REDUCE_SCATTER -> new ReduceScatter(group, self, parts(buffer, ranks));
            case ALL_REDUCE -> new AllReduce(group, self, buffer);
            case ALL_TO_ALL -> new AllToAll(group, self, parts(buffer, ranks), parts(second, ranks));
            case SEND_RECEIVE ->
                new SendReceive(group, self, (self + 1) % ranks, buffer, (self + ranks - 1) % ranks, second);
        };
    }

    private static List<Tensor> parts(Tensor buffer, int ranks) {
        long count = buffer.count() / ranks;
        return IntStream.range(0, ranks)
                .mapToObj(rank -> buffer.rows(rank * count, count))
                .toList();
    }

    boolean hasSecondBuffer() {
        return this == ALL_TO_ALL || this == SEND_RECEIVE;
    }

    /** What a rank's buffer holds at an index before the exchange: a small integer, so that sums are exact. */
    static float before(int rank, int index) {
        return 1000 * rank + index % 997;
    }

    /** What a rank's result holds at an index afterwards, in a buffer of count elements on each rank. */
    float after(int self, int index, int ranks, int count) {
        int part = index / (count / ranks);
        int inPart = index % (count / ranks);
        return switch (this) {
            case BROADCAST -> before(ROOT, index);
            case ALL_GATHER -> before(part, index);
            case REDUCE_SCATTER -> part == self ? sum(index, ranks) : before(self, index);
            case ALL_REDUCE -> sum(index, ranks);
            case ALL_TO_ALL -> before(part, self * (count / ranks) + inPart);
            case SEND_RECEIVE -> before((self + ranks - 1) % ranks, index);
        };
    }

    private static float sum(int index, int ranks) {
        float sum = 0;
        for (int rank = 0; rank < ranks; rank++) {
            sum += before(rank, index);
        }
        return sum;
    }
}
