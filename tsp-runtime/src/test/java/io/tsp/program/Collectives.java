package io.tsp.program;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Three ranks that run every kind of exchange once, with uneven parts. */
final class Collectives {
    static final int RANKS = 3;
    static final Group GROUP = new Group("g", List.of(0, 1, 2));

    private final int rank;
    private final ProgramBuilder builder;

    private Collectives(int rank) {
        this.rank = rank;
        this.builder = new ProgramBuilder(rank).label("collectives");
    }

    static World world() {
        return World.of(IntStream.range(0, RANKS)
                .mapToObj(rank -> new Collectives(rank).program())
                .toArray(ProgramBuilder[]::new));
    }

    private ProgramBuilder program() {
        builder.communicate(Lane.WEIGHTS, new Broadcast(GROUP, rank, 1, buffer("weights", 6)));
        builder.communicate(Lane.KV, AllGather.inPlace(GROUP, rank, parts("keys", 2, 3, 4)));
        builder.communicate(Lane.GRADS, new ReduceScatter(GROUP, rank, parts("gradients", 1, 0, 5)));
        builder.communicate(Lane.KV, new AllReduce(GROUP, rank, buffer("partial", 7)));
        builder.communicate(
                Lane.KV,
                new AllToAll(
                        GROUP,
                        rank,
                        parts("sent", rank + 1, rank + 2, rank + 3),
                        parts("received", rank + 1, rank + 2, rank + 3)));
        builder.communicate(
                Lane.WEIGHTS,
                new SendReceive(GROUP, rank, (rank + 1) % 3, buffer("shard", 5), (rank + 2) % 3, buffer("next", 5)));
        return builder;
    }

    private Tensor buffer(String name, long count) {
        return builder.input(name, MemoryClass.COMMUNICATION, DType.F32, count);
    }

    private List<Tensor> parts(String name, long... counts) {
        Tensor whole = buffer(name, counts[0] + counts[1] + counts[2]);
        List<Tensor> parts = new ArrayList<>();
        long first = 0;
        for (long count : counts) {
            parts.add(whole.rows(first, count));
            first += count;
        }
        return parts;
    }
}
