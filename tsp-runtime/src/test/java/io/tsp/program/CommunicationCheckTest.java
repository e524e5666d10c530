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
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that an exchange that makes no sense on its own rank is not refused. */
class CommunicationCheckTest {
    private final World world = Collectives.world();
    private final Broadcast broadcast = world.op(0, Broadcast.class, 0);
    private final AllGather gather = world.op(0, AllGather.class, 0);
    private final AllToAll exchange = world.op(0, AllToAll.class, 0);
    private final SendReceive hop = world.op(0, SendReceive.class, 0);

    /** Puts an op of the same type into rank 0's program. */
    private void assertDefect(Op op, Object... parts) {
        Step step = world.step(0, op.getClass(), 0);
        World spoiled = world.withOp(0, step, op);
        spoiled.assertDefect("rank 0", step);
        spoiled.assertDefect(parts);
    }

    @Test
    void acceptsEveryKind() {
        world.verify();
    }

    @Test
    void findsGroupWithoutTheRank() {
        assertDefect(
                new Broadcast(new Group("g", List.of(1, 2)), 0, 1, broadcast.buffer()),
                "group g[1, 2] does not contain the rank");
    }

    @Test
    void findsGroupBeyondTheWorld() {
        assertDefect(
                new Broadcast(new Group("g", List.of(0, 3)), 0, 1, broadcast.buffer()),
                "group g[0, 3] has a rank outside the world of 3 ranks");
    }

    @Test
    void findsGroupWithARankTwice() {
        assertDefect(
                new Broadcast(new Group("g", List.of(0, 1, 1)), 0, 1, broadcast.buffer()),
                "g[0, 1, 1] has a rank twice");
    }

    @Test
    void findsWrongSelf() {
        assertDefect(
                new Broadcast(GROUP, 2, 1, broadcast.buffer()), "it is member 0 of g[0, 1, 2], but takes itself for 2");
    }

    @Test
    void findsRootThatDoesNotExist() {
        assertDefect(new Broadcast(GROUP, 0, 3, broadcast.buffer()), "its root is member 3 of g[0, 1, 2]");
    }

    @Test
    void findsReceiverThatDoesNotExist() {
        assertDefect(new SendReceive(GROUP, 0, 4, hop.send(), 2, hop.receive()), "its receiver is member 4");
    }

    @Test
    void findsSenderThatDoesNotExist() {
        assertDefect(new SendReceive(GROUP, 0, 1, hop.send(), -1, hop.receive()), "its sender is member -1");
    }

    @Test
    void findsMessageToItself() {
        assertDefect(new SendReceive(GROUP, 0, 0, hop.send(), 2, hop.receive()), "its receiver is the rank itself");
    }

    @Test
    void findsTooFewParts() {
        assertDefect(AllGather.inPlace(GROUP, 0, gather.parts().subList(0, 2)), "it has 2 parts for the 3 members");
    }

    @Test
    void findsTooFewPartsToReduce() {
        ReduceScatter scatter = world.op(0, ReduceScatter.class, 0);
        assertDefect(new ReduceScatter(GROUP, 0, scatter.parts().subList(0, 1)), "it has 1 parts for the 3 members");
    }

    @Test
    void findsTooFewTensorsToSend() {
        assertDefect(new AllToAll(GROUP, 0, exchange.send().subList(0, 2), exchange.receive()), "2 tensors to send");
    }

    @Test
    void findsTooFewTensorsToReceive() {
        assertDefect(new AllToAll(GROUP, 0, exchange.send(), exchange.receive().subList(0, 2)), "2 tensors to receive");
    }

    @Test
    void findsContributionThatDoesNotFitItsPart() {
        assertDefect(
                new AllGather(GROUP, 0, broadcast.buffer().rows(0, 1), gather.parts()),
                "its own tensor weights+0:F32[1] does not fit its part keys+0:F32[2]");
    }

    @Test
    void findsStridedOperand() {
        Tensor strided = broadcast.buffer().reshape(3, 2).slice(1, 0, 1);
        assertDefect(new Broadcast(GROUP, 0, 1, strided), "operand weights+0:F32[3, 1] is not dense");
    }

    @Test
    void findsReceivingWherePeersRead() {
        List<Tensor> receive = new ArrayList<>(exchange.receive());
        receive.set(1, exchange.send().get(2).rows(1, 2));
        assertDefect(new AllToAll(GROUP, 0, exchange.send(), receive), "sent+", "overlap, and one of them is written");
    }

    @Test
    void findsReceivingWhatIsSent() {
        assertDefect(new SendReceive(GROUP, 0, 1, hop.send(), 2, hop.send()), "overlap");
    }

    @Test
    void findsPartsThatOverlap() {
        Tensor whole = broadcast.buffer();
        assertDefect(
                new AllGather(GROUP, 0, gather.own(), List.of(whole.rows(0, 2), whole.rows(1, 3), whole.rows(2, 4))),
                "overlap");
    }

    /** Transports count exchanges per channel, so two lanes for one channel would match wrong ones now and then. */
    @Test
    void findsChannelOnTwoLanesWithoutOrder() {
        Schedule schedule = world.schedule(1);
        Step first = world.step(1, AllGather.class, 0);
        Step second = world.step(1, AllReduce.class, 0);
        List<Lane> lanes = new ArrayList<>(schedule.lanes());
        Collections.replaceAll(lanes, Lane.KV, Lane.COPY);
        lanes.set(second.index(), Lane.COMPUTE);
        Schedule spread = new Schedule(schedule.program(), lanes, schedule.waits());
        world.with(1, spread).assertDefect("rank 1", second, first, "g[0, 1, 2] on lane KV");
    }
}
