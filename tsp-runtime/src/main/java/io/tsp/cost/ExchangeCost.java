package io.tsp.cost;

import io.tsp.cost.Topology.Link;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What exchanges ask of the links: of all transports that a profile allows, the one that would be done first if it were
 * alone. Which transfers are in each other's way is not known here.
 */
public final class ExchangeCost {
    private final HardwareProfile profile;
    private final Map<Key, Transfer> known = new HashMap<>();

    /** What decides the cost of a collective; layers repeat it. */
    private record Key(String name, Group group, List<Double> parts) {}

    public ExchangeCost(HardwareProfile profile) {
        this.profile = profile;
    }

    /** One message of a ring, between two members of a group. */
    public Transfer message(Group group, int from, int to, long bytes) {
        return new Traffic(
                        profile.topology(),
                        List.of(group.ranks().get(from), group.ranks().get(to)))
                .message(0, 1, (double) bytes)
                .transfer(Transport.DIRECT);
    }

    /**
     * An exchange of a whole group.
     *
     * @param members what members have to say, at least one; those that are missing in an all-to-all are taken to send
     *     as much to everyone as the first one does on average
     */
    public Transfer of(List<CommunicationOp> members) {
        CommunicationOp op = members.getFirst();
        return switch (op) {
            case Broadcast broadcast -> {
                double[] parts = new double[op.group().size()];
                parts[broadcast.root()] = broadcast.buffer().bytes();
                yield best(op, parts);
            }
            case AllGather gather -> best(op, bytes(gather.parts()));
            case ReduceScatter scatter -> best(op, bytes(scatter.parts()));
            case AllReduce reduce -> {
                double[] parts = new double[op.group().size()];
                Arrays.fill(parts, (double) reduce.buffer().bytes() / parts.length);
                yield best(op, parts);
            }
            case AllToAll _ -> allToAll(op.group(), members);
            case SendReceive _ -> throw new IllegalArgumentException("messages are priced by pair, not " + op);
        };
    }

    private static double[] bytes(List<Tensor> parts) {
        return parts.stream().mapToDouble(Tensor::bytes).toArray();
    }

    private Transfer best(CommunicationOp op, double[] parts) {
        Key key = new Key(op.name(), op.group(), Arrays.stream(parts).boxed().toList());
        return known.computeIfAbsent(key, unused -> {
            Set<Transport> allowed = profile.transports().getOrDefault(op.name(), Set.of());
            List<Transfer> ways = Arrays.stream(Transport.values())
                    .filter(transport -> allowed.contains(transport)
                            && new Traffic(profile.topology(), op.group().ranks()).allows(transport, parts))
                    .map(transport -> collective(op, transport, parts))
                    .toList();
            Set<Link> links = new HashSet<>();
            ways.forEach(way -> links.addAll(way.links()));
            return ways.stream()
                    .min(Comparator.comparingDouble(Transfer::seconds))
                    .orElseThrow()
                    .keeping(links);
        });
    }

    private Transfer collective(CommunicationOp op, Transport transport, double[] parts) {
        Traffic traffic = new Traffic(profile.topology(), op.group().ranks());
        if (op instanceof ReduceScatter || op instanceof AllReduce) {
            traffic.spread(transport, parts, true);
        }
        if (!(op instanceof ReduceScatter)) {
            traffic.spread(transport, parts, false);
        }
        return traffic.transfer(transport);
    }

    private Transfer allToAll(Group group, List<CommunicationOp> members) {
        Traffic traffic = new Traffic(profile.topology(), group.ranks());
        int size = group.size();
        double[] missing = new double[size];
        Arrays.fill(missing, (double) members.getFirst().bytesSent() / (size - 1));
        for (CommunicationOp member : members) {
            missing[member.self()] = 0;
            traffic.messages(member.self(), bytes(((AllToAll) member).send()));
        }
        return members.size() == size
                ? traffic.exchange().transfer(Transport.DIRECT)
                : traffic.spread(Transport.DIRECT, missing, false).transfer(Transport.DIRECT);
    }
}
