package io.tsp.comm.local;

import static io.tsp.comm.local.SmallIntegers.integers;
import static io.tsp.comm.local.SmallIntegers.partCounts;
import static io.tsp.comm.local.SmallIntegers.parts;
import static io.tsp.comm.local.SmallIntegers.vectors;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.device.Launch;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Small integers are exact in every dtype and order, so results are compared for equality. A failure is wrong data. */
class LocalCollectivesTest {
    /** What ranks run on. */
    LocalRanks.Kind kind() {
        return LocalRanks.Kind.CPU;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5})
    void broadcastGivesEverybodyTheRootsBuffer(int size) {
        try (LocalRanks ranks = new LocalRanks(kind(), size)) {
            for (int root = 0; root < size; root++) {
                int from = root;
                for (long count : new long[] {1, 7, 1000}) {
                    List<Tensor> buffers = vectors(ranks, DType.F32, count);
                    ranks.run(rank -> new Broadcast(ranks.group(), rank, from, buffers.get(rank)));
                    for (Tensor buffer : buffers) {
                        assertArrayEquals(integers(root, 0, count), ranks.read(buffer));
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1,true", "2,true", "3,true", "4,true", "5,true", "1,false", "2,false", "3,false", "4,false", "5,false"
    })
    void allGatherCollectsEveryPart(int size, boolean inPlace) {
        try (LocalRanks ranks = new LocalRanks(kind(), size)) {
            long[] counts = partCounts(size);
            List<Tensor> buffers =
                    vectors(ranks, DType.BF16, Arrays.stream(counts).sum());
            ranks.run(rank -> {
                List<Tensor> parts = parts(buffers.get(rank), counts);
                Tensor own = ranks.vector(DType.BF16, integers(rank, 100, counts[rank]));
                if (inPlace) {
                    ranks.write(parts.get(rank), integers(rank, 100, counts[rank]));
                    return AllGather.inPlace(ranks.group(), rank, parts);
                }
                return new AllGather(ranks.group(), rank, own, parts);
            });
            for (Tensor buffer : buffers) {
                for (int i = 0; i < size; i++) {
                    assertArrayEquals(
                            integers(i, 100, counts[i]),
                            ranks.read(parts(buffer, counts).get(i)));
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5})
    void allToAllTransposes(int size) {
        try (LocalRanks ranks = new LocalRanks(kind(), size)) {
            List<Tensor> received = new ArrayList<>();
            for (int rank = 0; rank < size; rank++) {
                received.add(ranks.vector(
                        DType.F32, Arrays.stream(pairs(size, rank, false)).sum()));
            }
            ranks.run(rank -> {
                List<Tensor> send = new ArrayList<>();
                for (int to = 0; to < size; to++) {
                    send.add(ranks.vector(DType.F32, integers(rank, 10 * to, pairCount(rank, to))));
                }
                return new AllToAll(ranks.group(), rank, send, parts(received.get(rank), pairs(size, rank, false)));
            });
            for (int rank = 0; rank < size; rank++) {
                for (int from = 0; from < size; from++) {
                    assertArrayEquals(
                            integers(from, 10 * rank, pairCount(from, rank)),
                            ranks.read(parts(received.get(rank), pairs(size, rank, false))
                                    .get(from)));
                }
            }
        }
    }

    private static long pairCount(int from, int to) {
        return (from * 3L + to) % 4;
    }

    private static long[] pairs(int size, int rank, boolean sent) {
        return IntStream.range(0, size)
                .mapToLong(peer -> sent ? pairCount(rank, peer) : pairCount(peer, rank))
                .toArray();
    }

    /** After as many hops as ranks everybody holds its own shard again; every rank sends before any has received. */
    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 5})
    void ringTurnsWithoutDeadlock(int size) {
        try (LocalRanks ranks = new LocalRanks(kind(), size)) {
            List<List<Tensor>> slots = new ArrayList<>();
            for (int rank = 0; rank < size; rank++) {
                slots.add(List.of(ranks.vector(DType.F32, integers(rank, 0, 9)), ranks.vector(DType.F32, 9L)));
            }
            for (int hop = 0; hop < size; hop++) {
                int now = hop;
                ranks.run(rank -> hop(
                        ranks,
                        rank,
                        slots.get(rank).get(now % 2),
                        slots.get(rank).get(1 - now % 2)));
                for (int rank = 0; rank < size; rank++) {
                    assertArrayEquals(
                            integers(Math.floorMod(rank - hop - 1, size), 0, 9),
                            ranks.read(slots.get(rank).get(1 - hop % 2)));
                }
            }
        }
    }

    private static SendReceive hop(LocalRanks ranks, int rank, Tensor send, Tensor receive) {
        int size = ranks.size();
        return new SendReceive(ranks.group(), rank, (rank + 1) % size, send, Math.floorMod(rank - 1, size), receive);
    }

    @Test
    void messagesGoOneWayToo() {
        try (LocalRanks ranks = new LocalRanks(kind(), 3)) {
            List<Tensor> buffers = vectors(ranks, DType.F32, 5);
            List<SendReceive> ops = List.of(
                    new SendReceive(ranks.group(), 0, 0, null, 2, buffers.get(0)),
                    new SendReceive(ranks.group(), 1, 2, buffers.get(1), 0, null),
                    new SendReceive(
                            ranks.group(), 2, 0, ranks.vector(DType.F32, integers(2, 0, 5)), 1, buffers.get(2)));
            ranks.run(ops::get);
            assertArrayEquals(integers(2, 0, 5), ranks.read(buffers.get(0)));
            assertArrayEquals(integers(1, 0, 5), ranks.read(buffers.get(1)));
            assertArrayEquals(integers(1, 0, 5), ranks.read(buffers.get(2)));
        }
    }

    /** Each rank changes what it posted as soon as its own run returns; nobody may see the change. */
    @Test
    void nobodyReadsAfterItsPeerWentOn() {
        try (LocalRanks ranks = new LocalRanks(kind(), 4)) {
            List<Tensor> mine = vectors(ranks, DType.F32, 2000);
            List<Tensor> gathered = vectors(ranks, DType.F32, 8000);
            List<Integer> wrong = new ArrayList<>();
            ranks.runAll(rank -> {
                Launch launch = ranks.bind(
                        rank,
                        0,
                        new AllGather(
                                ranks.group(),
                                rank,
                                mine.get(rank),
                                parts(gathered.get(rank), 2000, 2000, 2000, 2000)));
                return () -> turns(ranks, rank, launch, mine.get(rank), gathered.get(rank), wrong);
            });
            assertEquals(List.of(), wrong);
        }
    }

    private static void turns(
            LocalRanks ranks, int rank, Launch launch, Tensor mine, Tensor gathered, List<Integer> wrong) {
        for (int turn = 0; turn < 50; turn++) {
            float[] values = new float[2000];
            Arrays.fill(values, 10 * turn + rank);
            ranks.write(mine, values);
            launch.run();
            float[] all = ranks.read(gathered);
            for (int i = 0; i < all.length; i++) {
                if (all[i] != 10 * turn + i / 2000) {
                    synchronized (wrong) {
                        wrong.add(turn);
                    }
                    return;
                }
            }
        }
    }

    /** Lanes of one rank run at the same time; their exchanges must not meet each other. */
    @Test
    void channelsDoNotMix() {
        try (LocalRanks ranks = new LocalRanks(kind(), 2)) {
            List<Tensor> keys = vectors(ranks, DType.F32, 3);
            List<Tensor> weights =
                    List.of(ranks.vector(DType.F32, integers(8, 0, 3)), ranks.vector(DType.F32, integers(9, 0, 3)));
            Launch zeroKeys = ranks.bind(0, 0, new Broadcast(ranks.group(), 0, 0, keys.get(0)));
            Launch zeroWeights = ranks.bind(0, 1, new Broadcast(ranks.group(), 0, 0, weights.get(0)));
            Launch oneKeys = ranks.bind(1, 0, new Broadcast(ranks.group(), 1, 0, keys.get(1)));
            Launch oneWeights = ranks.bind(1, 1, new Broadcast(ranks.group(), 1, 0, weights.get(1)));
            var running = List.of(
                    ranks.start(zeroKeys), ranks.start(oneWeights), ranks.start(zeroWeights), ranks.start(oneKeys));
            running.forEach(LocalRanks::await);
            assertArrayEquals(integers(0, 0, 3), ranks.read(keys.get(1)));
            assertArrayEquals(integers(8, 0, 3), ranks.read(weights.get(1)));
        }
    }

    /** A broadcast and a message between the same two ranks are counted apart, whatever order lanes of others have. */
    @Test
    void collectivesAndMessagesOfTwoRanksDoNotMix() {
        try (LocalRanks ranks = new LocalRanks(kind(), 2)) {
            List<Tensor> buffers = vectors(ranks, DType.F32, 3);
            List<Tensor> next = vectors(ranks, DType.F32, 3);
            for (int turn = 0; turn < 3; turn++) {
                ranks.run(rank -> new Broadcast(ranks.group(), rank, 1, buffers.get(rank)));
                ranks.run(rank -> hop(ranks, rank, buffers.get(rank), next.get(rank)));
            }
            assertArrayEquals(integers(1, 0, 3), ranks.read(next.get(0)));
            assertArrayEquals(integers(1, 0, 3), ranks.read(next.get(1)));
        }
    }
    /** A group is any ranks in any order: places in it are not ranks. */
    @Test
    void groupsHaveTheirOwnOrder() {
        try (LocalRanks ranks = new LocalRanks(kind(), 4)) {
            Group group = new Group("some", List.of(3, 1));
            List<Tensor> gathered = vectors(ranks, DType.F32, 4);
            List<Tensor> passed = vectors(ranks, DType.F32, 2);
            ranks.runAll(rank -> {
                if (!group.ranks().contains(rank)) {
                    return () -> {};
                }
                int self = group.indexOf(rank);
                Tensor own = ranks.vector(DType.F32, integers(rank, 50, 2));
                Launch gather = ranks.bind(rank, 0, new AllGather(group, self, own, parts(gathered.get(rank), 2, 2)));
                Launch pass =
                        ranks.bind(rank, 0, new SendReceive(group, self, 1 - self, own, 1 - self, passed.get(rank)));
                return () -> {
                    gather.run();
                    pass.run();
                };
            });
            for (int rank : group.ranks()) {
                assertArrayEquals(
                        integers(3, 50, 2), ranks.read(gathered.get(rank).rows(0, 2)));
                assertArrayEquals(
                        integers(1, 50, 2), ranks.read(gathered.get(rank).rows(2, 2)));
                assertArrayEquals(integers(4 - rank, 50, 2), ranks.read(passed.get(rank)));
            }
        }
    }
}
