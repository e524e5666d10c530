package io.tsp.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Tensor;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A failure means that hazards, matching or byte counts of exchanges are derived from something else than they do. */
class CommunicationOpTest {
    private static final Group GROUP = new Group("g", List.of(4, 5, 6));

    private final Tensors tensors = new Tensors();
    private final Tensor a = tensors.f32("a", 7);
    private final List<Tensor> parts = tensors.f32s("p", 2, 0, 3);
    private final List<Tensor> others = tensors.f32s("q", 1, 4, 2);

    @Test
    void broadcastIsReadAtTheRootAndWrittenElsewhere() {
        assertEquals("READ a", Tensors.accesses(new Broadcast(GROUP, 1, 1, a)));
        assertEquals("WRITE a", Tensors.accesses(new Broadcast(GROUP, 0, 1, a)));
    }

    @Test
    void gatherInPlaceLeavesTheOwnPartAlone() {
        AllGather op = AllGather.inPlace(GROUP, 2, parts);
        assertTrue(op.isInPlace());
        assertEquals("READ p2, WRITE p0, WRITE p1", Tensors.accesses(op));
    }

    @Test
    void gatherFromElsewhereWritesEveryPart() {
        AllGather op = new AllGather(GROUP, 0, others.get(2), parts);
        assertFalse(op.isInPlace());
        assertEquals("READ q2, WRITE p0, WRITE p1, WRITE p2", Tensors.accesses(op));
    }

    @Test
    void reductionsAddToWhatIsThere() {
        assertEquals("READ p0, READ p1, ACCUMULATE p2", Tensors.accesses(new ReduceScatter(GROUP, 2, parts)));
        assertEquals("ACCUMULATE a", Tensors.accesses(new AllReduce(GROUP, 2, a)));
    }

    @Test
    void messagesReadWhatTheySendAndWriteWhatTheyReceive() {
        assertEquals(
                "READ p0, READ p1, READ p2, WRITE q0, WRITE q1, WRITE q2",
                Tensors.accesses(new AllToAll(GROUP, 0, parts, others)));
        assertEquals("READ a, WRITE q1", Tensors.accesses(new SendReceive(GROUP, 0, 1, a, 2, others.get(1))));
        assertEquals("READ a", Tensors.accesses(new SendReceive(GROUP, 0, 1, a, 2, null)));
    }

    @Test
    void signaturesDifferWhereMembersWouldNotFit() {
        Tensor halves = Tensor.dense(a.slot(), 0, DType.BF16, Shape.of(7));
        List<CommunicationOp> ops = List.of(
                new Broadcast(GROUP, 0, 1, a),
                new Broadcast(GROUP, 0, 2, a),
                new Broadcast(GROUP, 0, 1, a.rows(0, 6)),
                new Broadcast(GROUP, 0, 1, halves),
                new AllReduce(GROUP, 0, a),
                new AllReduce(GROUP, 0, a.rows(0, 6)),
                AllGather.inPlace(GROUP, 0, parts),
                AllGather.inPlace(GROUP, 0, others),
                new ReduceScatter(GROUP, 0, parts),
                new AllToAll(GROUP, 0, parts, others),
                new SendReceive(GROUP, 0, 1, a, 2, null));
        Set<String> signatures = new HashSet<>();
        ops.forEach(op -> signatures.add(op.signature()));
        assertEquals(ops.size(), signatures.size(), signatures::toString);
    }

    @Test
    void signaturesAreTheSameOnEveryMember() {
        List<Tensor> elsewhere = tensors.f32s("r", 2, 0, 3);
        assertEquals(new Broadcast(GROUP, 0, 1, a).signature(), new Broadcast(GROUP, 1, 1, a).signature());
        assertEquals(
                AllGather.inPlace(GROUP, 0, parts).signature(),
                new AllGather(GROUP, 1, elsewhere.get(1), elsewhere).signature());
    }

    @Test
    void bytesSentCountEveryMessageToAPeer() {
        assertEquals(2 * 28, new Broadcast(GROUP, 1, 1, a).bytesSent());
        assertEquals(0, new Broadcast(GROUP, 0, 1, a).bytesSent());
        assertEquals(2 * 12, AllGather.inPlace(GROUP, 2, parts).bytesSent());
        assertEquals(12, new ReduceScatter(GROUP, 0, parts).bytesSent());
        assertEquals(2 * 2 * 28 / 3, new AllReduce(GROUP, 0, a).bytesSent());
        assertEquals(4 + 8, new AllToAll(GROUP, 1, others, parts).bytesSent());
        assertEquals(28, new SendReceive(GROUP, 0, 1, a, 2, null).bytesSent());
        assertEquals(0, new SendReceive(GROUP, 0, 1, null, 2, a).bytesSent());
    }

    @Test
    void partsOfAnAllReduceAreTheBuffer() {
        AllReduce op = new AllReduce(GROUP, 0, a.reshape(7, 1));
        assertEquals(0, op.part(0).byteOffset());
        assertEquals(op.part(0).byteEnd(), op.part(1).byteOffset());
        assertEquals(op.part(1).byteEnd(), op.part(2).byteOffset());
        assertEquals(28, op.part(2).byteEnd());
    }

    /** What one member leaves out all must: counts of collectives are common, those of an all-to-all are not. */
    @Test
    void exchangesOfNothingAreEmptyForEveryMember() {
        Tensor nothing = a.rows(0, 0);
        assertTrue(new Broadcast(GROUP, 0, 1, nothing).isEmpty());
        assertTrue(new Broadcast(GROUP, 1, 1, nothing).isEmpty());
        assertTrue(new SendReceive(GROUP, 0, 1, null, 2, null).isEmpty());
        assertFalse(AllGather.inPlace(GROUP, 1, parts).isEmpty(), "others contribute");
        assertFalse(new Broadcast(GROUP, 1, 1, a).isEmpty(), "a root writes nothing and is needed");
        List<Tensor> none = List.of(nothing, nothing, nothing);
        assertFalse(new AllToAll(GROUP, 0, none, none).isEmpty(), "peers may have something to exchange");
    }
}
