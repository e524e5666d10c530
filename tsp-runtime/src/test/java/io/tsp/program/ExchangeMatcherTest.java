package io.tsp.program;

import static io.tsp.program.Collectives.GROUP;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.op.Op;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that ranks whose programs do not fit each other are let run, to hang or to mix up data. */
class ExchangeMatcherTest {
    private final World world = Collectives.world();
    private final World tsp = World.of(new TspScheme(3, 1), Requests.plain());

    /** Puts an op of the same type into rank 1's program; the message shall name that step and both signatures. */
    private void assertMismatch(Op op, Object... parts) {
        Step step = world.step(1, op.getClass(), 0);
        World spoiled = world.withOp(1, step, op);
        spoiled.assertDefect("rank 0, step " + world.step(0, op.getClass(), 0), "rank 1, step " + step);
        spoiled.assertDefect(parts);
    }

    @Test
    void findsWrongRoot() {
        Broadcast op = world.op(1, Broadcast.class, 0);
        assertMismatch(new Broadcast(GROUP, 1, 2, op.buffer()), "broadcast root 1", "broadcast root 2", "lane WEIGHTS");
    }

    @Test
    void findsWrongCount() {
        AllReduce op = world.op(1, AllReduce.class, 0);
        assertMismatch(new AllReduce(GROUP, 1, op.buffer().rows(0, 6)), "all-reduce F32x7", "all-reduce F32x6");
    }

    @Test
    void findsWrongCountOfOnePart() {
        AllGather op = world.op(1, AllGather.class, 0);
        List<Tensor> parts = new ArrayList<>(op.parts());
        parts.set(2, parts.get(2).rows(0, 3));
        assertMismatch(AllGather.inPlace(GROUP, 1, parts), "F32x2,F32x3,F32x4", "F32x2,2 of F32x3");
    }

    @Test
    void findsWrongDtype() {
        AllReduce op = world.op(1, AllReduce.class, 0);
        Tensor halves = Tensor.dense(op.buffer().slot(), 0, DType.BF16, Shape.of(7));
        assertMismatch(new AllReduce(GROUP, 1, halves), "all-reduce F32x7", "all-reduce BF16x7");
    }

    @Test
    void findsWrongDtypeOfOnePart() {
        ReduceScatter op = world.op(1, ReduceScatter.class, 0);
        List<Tensor> parts = new ArrayList<>(op.parts());
        parts.set(2, Tensor.dense(parts.get(2).slot(), 4, DType.BF16, Shape.of(5)));
        assertMismatch(new ReduceScatter(GROUP, 1, parts), "F32x5", "BF16x5");
    }

    @Test
    void findsPairOfAllToAllWithDifferentCounts() {
        AllToAll op = world.op(1, AllToAll.class, 0);
        List<Tensor> send = new ArrayList<>(op.send());
        send.set(2, send.get(2).rows(0, 2));
        Step step = world.step(1, AllToAll.class, 0);
        world.withOp(1, step, new AllToAll(GROUP, 1, send, op.receive()))
                .assertDefect(
                        "rank 1, step " + step, "rank 2, step", "sends sent", "F32[2]", "expects received", "F32[4]");
    }

    @Test
    void findsPairOfAllToAllWithDifferentDtypes() {
        AllToAll op = world.op(1, AllToAll.class, 0);
        List<Tensor> receive = new ArrayList<>(op.receive());
        receive.set(0, Tensor.dense(receive.getFirst().slot(), 0, DType.I32, Shape.of(2)));
        Step step = world.step(1, AllToAll.class, 0);
        world.withOp(1, step, new AllToAll(GROUP, 1, op.send(), receive))
                .assertDefect("rank 0, step", "rank 1, step " + step, "I32[2]");
    }

    @Test
    void findsMissingCollective() {
        Step step = world.step(1, ReduceScatter.class, 0);
        world.without(1, step).assertDefect("reduce-scatter", "lane GRADS", "rank 1 has only 0");
    }

    @Test
    void findsMissingCollectiveAmongOthers() {
        Step step = tsp.step(2, AllGather.class, 3);
        tsp.without(2, step).assertDefect("rank 0, step", "all-gather", "tsp[0, 1, 2] on lane KV", "rank 2 has only");
    }

    @Test
    void findsExtraCollective() {
        Step last = world.steps(2).getLast();
        Step extra = world.step(2, AllReduce.class, 0);
        world.withSteps(2, steps -> steps.add(last.index(), extra))
                .assertDefect("rank 2, step", "all-reduce", "lane KV", "rank 0 has only 3");
    }

    @Test
    void findsCollectivesSwappedOnOneRank() {
        Step gather = world.step(2, AllGather.class, 0);
        Step reduce = world.step(2, AllReduce.class, 0);
        world.swapped(2, gather, reduce)
                .assertDefect(
                        "rank 0, step #1 all-gather", "rank 2, step #1 all-reduce", "exchange 0 of 3 in g[0, 1, 2]");
    }

    @Test
    void findsBroadcastsSwappedOnOneRank() {
        Step first = tsp.step(1, Broadcast.class, 0);
        Step second = tsp.step(1, Broadcast.class, 1);
        tsp.swapped(1, first, second).assertDefect("rank 0", "rank 1", "broadcast root 0", "broadcast root 1");
    }

    @Test
    void findsExchangeInAnotherGroup() {
        AllReduce op = world.op(1, AllReduce.class, 0);
        Step step = world.step(1, AllReduce.class, 0);
        world.withOp(1, step, new AllReduce(new Group("h", GROUP.ranks()), 1, op.buffer()))
                .assertDefect("rank 0, step " + step, "exchange 1 of 3 in g[0, 1, 2] on lane KV", "rank 1", "1 of 2");
    }

    @Test
    void findsExchangeOnAnotherLane() {
        Step step = world.step(1, AllReduce.class, 0);
        world.withSteps(1, steps -> steps.set(step.index(), new Step(0, Lane.COPY, step.op(), "")))
                .assertDefect("rank 0, step " + step, "exchange 1 of 3 in g[0, 1, 2] on lane KV", "rank 1", "1 of 2");
    }

    private void assertHop(int to, Tensor send, int from, Tensor receive, Object... parts) {
        Step step = world.step(1, SendReceive.class, 0);
        world.withOp(1, step, new SendReceive(GROUP, 1, to, send, from, receive))
                .assertDefect(parts);
    }

    private SendReceive hop() {
        return world.op(1, SendReceive.class, 0);
    }

    @Test
    void findsSendWithoutReceive() {
        Step step = world.step(1, SendReceive.class, 0);
        world.withOp(1, step, new SendReceive(GROUP, 1, 2, hop().send(), 0, null))
                .assertDefect(
                        "rank 0, step " + world.step(0, SendReceive.class, 0),
                        "from rank 0 to rank 1",
                        "nobody receives");
    }

    @Test
    void findsReceiveWithoutSend() {
        Step step = world.step(1, SendReceive.class, 0);
        world.withOp(1, step, new SendReceive(GROUP, 1, 2, null, 0, hop().receive()))
                .assertDefect(
                        "rank 2, step " + world.step(2, SendReceive.class, 0), "from rank 1 to rank 2", "nobody sends");
    }

    @Test
    void findsReceiveFromWrongPeer() {
        assertHop(2, hop().send(), 2, hop().receive(), "rank 0, step", "from rank 0 to rank 1", "nobody receives");
    }

    @Test
    void findsSendToWrongPeer() {
        assertHop(0, hop().send(), 0, hop().receive(), "rank 1, step", "from rank 1 to rank 0", "nobody receives");
    }

    @Test
    void findsRingWithReversedNeighbour() {
        assertHop(0, hop().send(), 2, hop().receive(), "rank 0, step", "from rank 0 to rank 1", "nobody receives");
    }

    @Test
    void findsReversedNeighbourInTheWeightRing() {
        Step step = tsp.step(1, SendReceive.class, 0);
        SendReceive op = tsp.op(1, SendReceive.class, 0);
        tsp.withOp(1, step, new SendReceive(op.group(), 1, op.from(), op.send(), op.to(), op.receive()))
                .assertDefect("rank 0, step", "rank 1, step", "send-receive", "mlp");
    }

    @Test
    void findsMessageOfOtherLength() {
        assertHop(2, hop().send(), 0, hop().receive().rows(0, 4), "rank 0, step", "F32[5]", "rank 1, step", "F32[4]");
    }

    @Test
    void findsMessageOfOtherDtype() {
        Tensor ints = Tensor.dense(hop().send().slot(), 0, DType.I32, Shape.of(5));
        assertHop(2, ints, 0, hop().receive(), "rank 1, step", "I32[5]", "rank 2, step", "F32[5]");
    }

    @Test
    void findsHopsOfARingSwappedOnOneRank() {
        Step first = tsp.step(1, SendReceive.class, 0);
        Step second = tsp.step(1, SendReceive.class, 1);
        tsp.swapped(1, first, second).assertDefect("rank 1", "send-receive");
    }
}
