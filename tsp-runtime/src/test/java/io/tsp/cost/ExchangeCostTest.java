package io.tsp.cost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.cost.Topology.Fabric;
import io.tsp.cost.Topology.Link;
import io.tsp.cost.Topology.Wire;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A failure means that an exchange is predicted to use links that it does not have, or faster than they are. */
class ExchangeCostTest {
    private static final HardwareProfile MI300X = HardwareProfile.of("mi300x");
    private static final HardwareProfile H100 = HardwareProfile.of("h100");
    private static final long BYTES = 1L << 28;

    private static Group group(int size) {
        return new Group("g", IntStream.range(0, size).boxed().toList());
    }

    private static Tensor tensor(long bytes) {
        Slot slot = new Slot(0, "t", MemoryClass.TRANSIENT, bytes);
        return Tensor.dense(slot, 0, DType.BF16, Shape.of(bytes / 2));
    }

    private static Transfer broadcast(HardwareProfile profile, int size, long bytes) {
        return new ExchangeCost(profile).of(List.of(new Broadcast(group(size), 0, 0, tensor(bytes))));
    }

    private static double rate(Transfer transfer) {
        return BYTES / (transfer.seconds() - transfer.latencySeconds());
    }

    private static double busy(Transfer transfer, Link link) {
        return transfer.busySeconds().getOrDefault(link, 0.0);
    }

    /** The published ring is slow on this node because it uses one link of seven. */
    @Test
    void hopOfRingUsesOneLink() {
        Transfer hop = new ExchangeCost(MI300X).message(group(8), 2, 3, BYTES);
        assertEquals(List.of(new Link(Link.Kind.PAIR, 2, 3)), List.copyOf(hop.links()));
        assertEquals(46e9, rate(hop), 1e6);
    }

    @Test
    void broadcastUsesAllLinks() {
        Transfer transfer = broadcast(MI300X, 8, BYTES);
        assertEquals(Transport.SCATTERED, transfer.transport());
        assertEquals(7 * 46e9, rate(transfer), 7 * 46e9 / 20);
        assertEquals(7 + 7 * 6, transfer.links().size(), "all but those to the root");
    }

    @Test
    void smallBroadcastIsOneStep() {
        assertEquals(Transport.DIRECT, broadcast(MI300X, 8, 1 << 10).transport());
        assertEquals(Transport.DIRECT, broadcast(H100, 8, 1 << 10).transport());
    }

    /** Ports of a switch do not care who the bytes are for, so a pipeline through all ranks is as good as any. */
    @Test
    void broadcastOnSwitchIsAsFastAsPort() {
        assertEquals(361e9, rate(broadcast(H100, 8, BYTES)), 361e9 / 20);
    }

    @Test
    void gatherOnMeshIsDirect() {
        List<Tensor> parts = Collections.nCopies(8, tensor(BYTES / 8));
        Transfer transfer = new ExchangeCost(MI300X).of(List.of(AllGather.inPlace(group(8), 0, parts)));
        assertEquals(Transport.DIRECT, transfer.transport());
        assertEquals(BYTES / 8.0 / 46e9, busy(transfer, new Link(Link.Kind.PAIR, 3, 5)), 1e-12);
    }

    /** Between nodes a card must see each byte once, not once for every rank of the other node. */
    @Test
    void reductionOverNodesGoesByRails() {
        Transfer transfer = new ExchangeCost(H100).of(List.of(new AllReduce(group(32), 0, tensor(BYTES))));
        assertEquals(Transport.RAILS, transfer.transport());
        double card = busy(transfer, new Link(Link.Kind.CARD_OUT, 0, 0));
        assertEquals(2 * 3 * BYTES / 32.0 / 45e9, card, card / 1e9);
    }

    @Test
    void groupOfThousandsIsPricedAtOnce() {
        Transfer transfer = new ExchangeCost(H100).of(List.of(new AllReduce(group(4096), 0, tensor(BYTES))));
        assertTrue(transfer.seconds() > 2 * 511 / 512.0 * BYTES / 8 / 45e9, transfer.seconds() + " s");
        assertTrue(transfer.seconds() < 0.05, transfer.seconds() + " s");
    }

    /** What every member must get cannot come faster than its own links allow, whatever the transport claims. */
    @Test
    void nothingArrivesFasterThanLinksOfOneRank() {
        Random random = new Random(3);
        for (int trial = 0; trial < 500; trial++) {
            int size = 2 + random.nextInt(12);
            int nodeSize = 1 + random.nextInt(8);
            Fabric fabric = random.nextBoolean() ? Fabric.MESH : Fabric.SWITCH;
            Wire network = new Wire(1e9 * (0.1 + random.nextDouble()), 0, 0);
            Topology topology = new Topology(nodeSize, fabric, new Wire(1e9, 0, 0), network);
            double[] parts = new double[size];
            Arrays.setAll(parts, i -> random.nextInt(3) == 0 ? 0 : random.nextInt(1000));
            List<Integer> ranks = ranks(size, random);
            for (Transport transport : Transport.values()) {
                for (boolean reversed : new boolean[] {false, true}) {
                    if (new Traffic(topology, ranks).allows(transport, parts)) {
                        requirePossible(topology, ranks, parts, transport, reversed);
                    }
                }
            }
        }
    }

    private static List<Integer> ranks(int size, Random random) {
        List<Integer> ranks = new ArrayList<>(IntStream.range(0, 24).boxed().toList());
        Collections.shuffle(ranks, random);
        return ranks.subList(0, size).stream().sorted().toList();
    }

    private static void requirePossible(
            Topology topology, List<Integer> ranks, double[] parts, Transport transport, boolean reversed) {
        Transfer transfer =
                new Traffic(topology, ranks).spread(transport, parts, reversed).transfer(transport);
        double total = Arrays.stream(parts).sum();
        for (int i = 0; i < parts.length; i++) {
            int rank = ranks.get(i);
            double carried = transfer.busySeconds().entrySet().stream()
                    .filter(use -> reversed ? isFrom(use.getKey(), rank) : isTo(use.getKey(), rank))
                    .mapToDouble(
                            use -> use.getValue() * topology.wire(use.getKey()).bytesPerSecond())
                    .sum();
            // Backwards a rank sends what is not its own part; summing on the way makes it no less.
            assertTrue(
                    carried >= (total - parts[i]) * (1 - 1e-9),
                    () -> transport + " " + reversed + " " + topology + " " + ranks + " " + Arrays.toString(parts)
                            + ": rank " + rank + " has only " + carried);
        }
    }

    private static boolean isTo(Link link, int rank) {
        return link.to() == rank
                && (link.kind() == Link.Kind.PAIR
                        || link.kind() == Link.Kind.PORT_IN
                        || link.kind() == Link.Kind.CARD_IN);
    }

    private static boolean isFrom(Link link, int rank) {
        return link.from() == rank
                && (link.kind() == Link.Kind.PAIR
                        || link.kind() == Link.Kind.PORT_OUT
                        || link.kind() == Link.Kind.CARD_OUT);
    }

    @Test
    void reductionToOneRankIsBroadcastBackwards() {
        List<Tensor> parts = new ArrayList<>(Collections.nCopies(8, tensor(0)));
        parts.set(3, tensor(BYTES));
        Transfer transfer = new ExchangeCost(MI300X).of(List.of(new ReduceScatter(group(8), 0, parts)));
        assertEquals(Transport.SCATTERED, transfer.transport());
        assertEquals(broadcast(MI300X, 8, BYTES).seconds(), transfer.seconds(), 1e-9);
    }
}
