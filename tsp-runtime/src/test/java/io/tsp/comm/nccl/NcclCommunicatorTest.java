package io.tsp.comm.nccl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A failure means that processes with NCCL compute something else than ranks of one process, or that streams do not wait
 * for what NCCL does. The emulator is late by chance, and lets one exchange of a rank run at a time.
 */
class NcclCommunicatorTest {
    private static Emulator emulator;

    @BeforeAll
    static void open() {
        emulator = Emulator.open();
    }

    /** The op of a rank. */
    private interface Ops {
        CommunicationOp of(NcclRanks ranks, int rank, DType dtype);
    }

    private static final int HALF = NcclRanks.BYTES / 2;

    private static Map<String, Ops> ops() {
        Map<String, Ops> ops = new LinkedHashMap<>();
        ops.put(
                "broadcast",
                (ranks, rank, dtype) ->
                        new Broadcast(ranks.group(), rank, ranks.size() - 1, ranks.vector(rank, dtype, 64, 1001)));
        ops.put(
                "gather even parts",
                (ranks, rank, dtype) -> new AllGather(
                        ranks.group(),
                        rank,
                        ranks.vector(rank, dtype, HALF, 500),
                        parts(ranks, rank, dtype, _ -> 500)));
        ops.put(
                "gather in place",
                (ranks, rank, dtype) -> AllGather.inPlace(ranks.group(), rank, parts(ranks, rank, dtype, _ -> 500)));
        ops.put(
                "gather parts in another order",
                (ranks, rank, dtype) -> new AllGather(
                        ranks.group(),
                        rank,
                        ranks.vector(rank, dtype, HALF, 500),
                        parts(ranks, rank, dtype, _ -> 500).reversed()));
        ops.put(
                "gather uneven parts",
                (ranks, rank, dtype) -> new AllGather(
                        ranks.group(),
                        rank,
                        ranks.vector(rank, dtype, HALF, uneven(rank)),
                        parts(ranks, rank, dtype, NcclCommunicatorTest::uneven)));
        ops.put(
                "reduce and scatter",
                (ranks, rank, dtype) -> new ReduceScatter(
                        ranks.group(), rank, parts(ranks, rank, dtype, NcclCommunicatorTest::uneven)));
        for (int count : new int[] {1, 1200, 4001}) {
            ops.put(
                    "reduce " + count,
                    (ranks, rank, dtype) -> new AllReduce(ranks.group(), rank, ranks.vector(rank, dtype, 128, count)));
        }
        ops.put("all to all", NcclCommunicatorTest::allToAll);
        ops.put(
                "ring",
                (ranks, rank, dtype) -> new SendReceive(
                        ranks.group(),
                        rank,
                        (rank + 1) % ranks.size(),
                        ranks.vector(rank, dtype, 0, 777),
                        Math.floorMod(rank - 1, ranks.size()),
                        ranks.vector(rank, dtype, HALF, 777)));
        ops.put(
                "one way",
                (ranks, rank, dtype) -> new SendReceive(
                        ranks.group(),
                        rank,
                        rank + 1,
                        rank + 1 < ranks.size() ? ranks.vector(rank, dtype, 0, 100) : null,
                        rank - 1,
                        rank > 0 ? ranks.vector(rank, dtype, HALF, 100) : null));
        return ops;
    }

    /** Some of a large part, a middle one, and none. */
    private static int uneven(int index) {
        return index % 3 == 1 ? 0 : 1500 - 400 * index;
    }

    private static List<Tensor> parts(NcclRanks ranks, int rank, DType dtype, IntUnaryOperator count) {
        List<Tensor> parts = new ArrayList<>();
        long offset = 256;
        for (int i = 0; i < ranks.size(); i++) {
            parts.add(ranks.vector(rank, dtype, offset, count.applyAsInt(i)));
            offset = parts.getLast().byteOffset() + parts.getLast().bytes();
        }
        return parts;
    }

    private static CommunicationOp allToAll(NcclRanks ranks, int rank, DType dtype) {
        List<Tensor> send = new ArrayList<>();
        List<Tensor> receive = new ArrayList<>();
        for (int i = 0; i < ranks.size(); i++) {
            send.add(ranks.vector(rank, dtype, 2048L * i, uneven(rank + 2 * i) / 3 & 255));
            receive.add(ranks.vector(rank, dtype, HALF + 2048L * i, uneven(i + 2 * rank) / 3 & 255));
        }
        return new AllToAll(ranks.group(), rank, send, receive);
    }

    @ParameterizedTest
    @CsvSource({"1, F32", "2, F32", "3, F32", "3, BF16", "4, F32", "4, BF16"})
    void allExchangesGiveTheBitsOfRanksOfOneProcess(int size, DType dtype) {
        try (NcclRanks nccl = new NcclRanks(emulator, NcclRanks.Kind.NCCL, size);
                NcclRanks local = new NcclRanks(emulator, NcclRanks.Kind.LOCAL, size)) {
            Map<String, Ops> all = ops();
            if (size == 1) {
                all.remove("ring");
            }
            all.forEach((name, ops) -> {
                byte[][] before = {};
                for (NcclRanks ranks : List.of(nccl, local)) {
                    ranks.fill(name.length());
                    before = state(ranks);
                    ranks.run(rank -> ops.of(ranks, rank, dtype));
                }
                for (int rank = 0; rank < size; rank++) {
                    assertArrayEquals(local.read(rank), nccl.read(rank), name + ", rank " + rank);
                }
                assertFalse(size > 1 && Arrays.deepEquals(before, state(nccl)), name + " changes nothing");
            });
        }
    }

    private static byte[][] state(NcclRanks ranks) {
        byte[][] all = new byte[ranks.size()][];
        Arrays.setAll(all, ranks::read);
        return all;
    }

    /** What is put on a stream behind an exchange runs behind it, though NCCL puts the exchange there late. */
    @Test
    void streamsGoOnWithWhatHasCome() {
        int turns = 40;
        int bytes = 1024;
        try (NcclRanks ranks = new NcclRanks(emulator, NcclRanks.Kind.NCCL, 3)) {
            ranks.fill(5);
            byte[][] sources = {ranks.read(0), ranks.read(1), ranks.read(2)};
            ranks.runAll(rank -> () -> {
                Stream stream = ranks.stream(rank, 0);
                Launch launch = ranks.bind(
                        rank,
                        stream,
                        new Broadcast(ranks.group(), rank, 2, ranks.vector(rank, DType.F32, 0, bytes / 4)));
                for (int turn = 0; turn < turns; turn++) {
                    ranks.copy(rank, stream, 0, bytes * (1L + turn % 8), bytes);
                    stream.enqueue(launch);
                    ranks.copy(rank, stream, HALF + (long) bytes * turn, 0, bytes);
                }
                stream.synchronize(NcclRanks.PATIENCE);
            });
            for (int rank = 0; rank < 3; rank++) {
                byte[] found = ranks.read(rank);
                for (int turn = 0; turn < turns; turn++) {
                    int from = bytes * (1 + turn % 8);
                    int at = HALF + bytes * turn;
                    assertArrayEquals(
                            Arrays.copyOfRange(sources[2], from, from + bytes),
                            Arrays.copyOfRange(found, at, at + bytes),
                            "rank " + rank + ", turn " + turn);
                }
            }
        }
    }

    /** Exchanges on several communicators and streams wait for each other, so that they cannot do so in a circle. */
    @Test
    void exchangesOfARankRunOneAfterTheOther() {
        try (NcclRanks ranks = new NcclRanks(emulator, NcclRanks.Kind.NCCL, 2)) {
            List<Group> groups = IntStream.range(0, 3)
                    .mapToObj(i -> new Group("axis" + i, List.of(0, 1)))
                    .toList();
            ranks.runAll(rank -> () -> {
                List<Launch> launches = new ArrayList<>();
                for (int i = 0; i < groups.size(); i++) {
                    Tensor buffer = ranks.vector(rank, DType.F32, 4096L * i, 256);
                    launches.add(
                            ranks.bind(rank, ranks.stream(rank, i), new Broadcast(groups.get(i), rank, i % 2, buffer)));
                }
                for (int turn = 0; turn < 40; turn++) {
                    for (int i = 0; i < launches.size(); i++) {
                        ranks.stream(rank, i).enqueue(launches.get(i));
                    }
                }
                for (int i = 0; i < launches.size(); i++) {
                    ranks.stream(rank, i).synchronize(Duration.ofSeconds(10));
                }
            });
        }
    }

    @Test
    void ranksWithOtherProgramsAreNamed() {
        try (NcclRanks ranks = new NcclRanks(emulator, NcclRanks.Kind.NCCL, 3)) {
            ranks.runAll(rank -> () -> ranks.communicator(rank).agree(7));
            ranks.runAll(rank -> () -> {
                RanksDisagreeException e = assertThrows(
                        RanksDisagreeException.class,
                        () -> ranks.communicator(rank).agree(rank == 1 ? 8 : 7));
                String others = rank == 1 ? "[0, 2]" : "[1]";
                assertEquals(
                        "rank " + rank + " built other programs than rank " + others
                                + "; start all ranks with the same options, model and build",
                        e.getMessage());
            });
        }
    }
}
