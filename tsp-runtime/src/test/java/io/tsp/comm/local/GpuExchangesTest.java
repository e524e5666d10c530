package io.tsp.comm.local;

import static io.tsp.comm.local.SmallIntegers.parts;
import static io.tsp.comm.local.SmallIntegers.vectors;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.IntBinaryOperator;
import org.junit.jupiter.api.Test;

/**
 * Kernels write what is exchanged and read what has come, with no wait of the host in between. Streams are late at
 * random: a mark that a stream does not wait for shows as a number of another turn.
 */
class GpuExchangesTest {
    private static final int RANKS = 4;
    private static final int TURNS = 60;
    private static final int COUNT = 4000;
    private static final int PART = COUNT / RANKS;

    /** The op of a rank between what it writes before and what it reads afterwards. */
    private interface Exchange {
        CommunicationOp op(LocalRanks ranks, int rank, Tensor written, Tensor read);
    }

    private static int value(int turn, int rank) {
        return 10 * turn + rank;
    }

    /**
     * @param expected what rank i must find in the k-th part of what it reads, without the turn's share of 10 for each
     *     addend
     */
    private static void judge(Exchange exchange, boolean inPlace, int addends, IntBinaryOperator expected) {
        try (LocalRanks ranks = new LocalRanks(LocalRanks.Kind.GPU, RANKS)) {
            List<Tensor> written = vectors(ranks, DType.F32, COUNT);
            List<Tensor> read = inPlace ? written : vectors(ranks, DType.F32, COUNT);
            List<String> wrong = Collections.synchronizedList(new ArrayList<>());
            List<Stream> streams = new ArrayList<>();
            for (int rank = 0; rank < RANKS; rank++) {
                int self = rank;
                Stream stream = ranks.gpus().stream(rank, 0);
                streams.add(stream);
                Launch launch =
                        ranks.bind(rank, 0, stream, exchange.op(ranks, rank, written.get(rank), read.get(rank)));
                for (int turn = 0; turn < TURNS; turn++) {
                    int now = turn;
                    ranks.gpus().launch(rank, stream, () -> fill(ranks, written.get(self), value(now, self)));
                    stream.enqueue(launch);
                    ranks.gpus().launch(rank, stream, () -> {
                        for (int part = 0; part < RANKS; part++) {
                            int base = expected.applyAsInt(self, part);
                            float right = base < 0 ? value(now, self) : 10 * now * addends + base;
                            check(ranks, read.get(self).rows((long) part * PART, PART), right, wrong);
                        }
                    });
                }
            }
            streams.forEach(stream -> stream.synchronize(LocalRanks.PATIENCE));
            assertEquals(List.of(), wrong.stream().distinct().limit(5).toList());
        }
    }

    private static void fill(LocalRanks ranks, Tensor tensor, float value) {
        for (int i = 0; i < tensor.count(); i++) {
            LocalRanks.put(ranks.address(tensor), tensor.dtype(), i, value);
        }
    }

    private static void check(LocalRanks ranks, Tensor tensor, float expected, List<String> wrong) {
        for (float found : ranks.read(tensor)) {
            if (found != expected) {
                wrong.add(found + " where " + expected + " should be");
            }
        }
    }

    private static List<Tensor> equalParts(Tensor whole) {
        return parts(whole, PART, PART, PART, PART);
    }

    @Test
    void broadcast() {
        judge((ranks, rank, written, _) -> new Broadcast(ranks.group(), rank, 2, written), true, 1, (_, _) -> 2);
    }

    @Test
    void allGather() {
        judge(
                (ranks, rank, written, read) ->
                        new AllGather(ranks.group(), rank, written.rows(0, PART), equalParts(read)),
                false,
                1,
                (_, part) -> part);
    }

    /** Parts of others stay as they are. */
    @Test
    void reduceScatter() {
        judge(
                (ranks, rank, written, _) -> new ReduceScatter(ranks.group(), rank, equalParts(written)),
                true,
                RANKS,
                (rank, part) -> rank == part ? 6 : -1);
    }

    @Test
    void allReduce() {
        judge((ranks, rank, written, _) -> new AllReduce(ranks.group(), rank, written), true, RANKS, (_, _) -> 6);
    }

    @Test
    void allToAll() {
        judge(
                (ranks, rank, written, read) ->
                        new AllToAll(ranks.group(), rank, equalParts(written), equalParts(read)),
                false,
                1,
                (_, part) -> part);
    }

    @Test
    void ring() {
        judge(
                (ranks, rank, written, read) -> new SendReceive(
                        ranks.group(), rank, (rank + 1) % RANKS, written, Math.floorMod(rank - 1, RANKS), read),
                false,
                1,
                (rank, _) -> Math.floorMod(rank - 1, RANKS));
    }
}
