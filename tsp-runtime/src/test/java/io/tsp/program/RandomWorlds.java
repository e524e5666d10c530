package io.tsp.program;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Programs of several ranks without meaning whose exchanges fit each other, on random lanes and groups. */
final class RandomWorlds {
    private static final int TENSORS = 4;

    private final Random random;
    private final List<ProgramBuilder> builders;
    private final List<List<Tensor>> tensors = new ArrayList<>();

    private RandomWorlds(Random random, int ranks) {
        this.random = random;
        builders = IntStream.range(0, ranks).mapToObj(ProgramBuilder::new).toList();
        for (ProgramBuilder builder : builders) {
            tensors.add(IntStream.range(0, TENSORS)
                    .mapToObj(i -> builder.input("t" + i, MemoryClass.TRANSIENT, DType.BF16, 1024, 1024))
                    .toList());
        }
    }

    static List<Program> next(Random random, int ranks, int events) {
        RandomWorlds world = new RandomWorlds(random, ranks);
        for (int i = 0; i < events; i++) {
            if (random.nextInt(3) > 0) {
                world.compute(random.nextInt(ranks));
            } else {
                world.exchange();
            }
        }
        return world.builders.stream().map(ProgramBuilder::build).toList();
    }

    private Tensor any(int rank) {
        return tensors.get(rank).get(random.nextInt(TENSORS));
    }

    private void compute(int rank) {
        long rows = 1 + random.nextInt(1024);
        Tensor source = any(rank).rows(0, rows);
        Tensor target = any(rank).rows(0, rows);
        builders.get(rank)
                .compute(
                        random.nextBoolean()
                                ? new Copy(source, target)
                                : new Gemm(source, any(rank), null, target, false));
    }

    /** An exchange of a random group: its ranks in order, as groups of a mesh are. */
    private void exchange() {
        List<Integer> members = IntStream.range(0, builders.size())
                .filter(rank -> random.nextInt(3) > 0)
                .boxed()
                .toList();
        if (members.size() < 2) {
            return;
        }
        Group group = new Group("random", members);
        Lane lane = Lane.values()[random.nextInt(Lane.values().length - 1)];
        int kind = random.nextInt(5);
        int slot = random.nextInt(TENSORS);
        int other = (slot + 1) % TENSORS;
        long rows = 1 + random.nextInt(1024 / members.size());
        int root = random.nextInt(members.size());
        for (int self = 0; self < members.size(); self++) {
            int rank = members.get(self);
            Tensor tensor = tensors.get(rank).get(slot);
            List<Tensor> parts = IntStream.range(0, members.size())
                    .mapToObj(i -> tensor.rows(i * rows, rows))
                    .toList();
            builders.get(rank)
                    .communicate(
                            lane,
                            switch (kind) {
                                case 0 -> new Broadcast(group, self, root, tensor.rows(0, rows));
                                case 1 -> AllGather.inPlace(group, self, parts);
                                case 2 -> new ReduceScatter(group, self, parts);
                                case 3 -> new AllReduce(group, self, tensor.rows(0, rows));
                                default ->
                                    new SendReceive(
                                            group,
                                            self,
                                            (self + 1) % members.size(),
                                            tensor.rows(0, rows),
                                            Math.floorMod(self - 1, members.size()),
                                            tensors.get(rank).get(other).rows(0, rows));
                            });
        }
    }
}
