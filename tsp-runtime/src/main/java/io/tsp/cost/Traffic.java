package io.tsp.cost;

import io.tsp.cost.Topology.Link;
import io.tsp.cost.Topology.Link.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** The bytes that an exchange of one group puts on each link, and the messages that follow each other. */
final class Traffic {
    private final Topology topology;
    private final List<Integer> ranks;
    private final Map<Link, Double> bytes = new HashMap<>();
    /** Members of each node. */
    private final List<List<Integer>> nodes;
    /** The other members of each member's node and itself. */
    private final List<List<Integer>> neighbours = new ArrayList<>();

    private int steps;
    private int messages;

    Traffic(Topology topology, List<Integer> ranks) {
        this.topology = topology;
        this.ranks = ranks;
        Map<Integer, List<Integer>> members = new LinkedHashMap<>();
        for (int i = 0; i < ranks.size(); i++) {
            List<Integer> node = members.computeIfAbsent(topology.nodeOf(ranks.get(i)), unused -> new ArrayList<>());
            node.add(i);
            neighbours.add(node);
        }
        nodes = List.copyOf(members.values());
    }

    private int size() {
        return ranks.size();
    }

    private boolean crosses() {
        return nodes.size() > 1;
    }

    /** What the links and latencies make of it. */
    Transfer transfer(Transport transport) {
        Map<Link, Double> busy = new HashMap<>();
        double longest = 0;
        for (Map.Entry<Link, Double> load : bytes.entrySet()) {
            if (load.getValue() > 0) {
                double seconds = load.getValue() / topology.wire(load.getKey()).bytesPerSecond();
                busy.put(load.getKey(), seconds);
                longest = Math.max(longest, seconds);
            }
        }
        Topology.Wire wire = crosses() ? topology.network() : topology.node();
        double latency = steps * wire.latencySeconds() + Math.max(0, messages - steps) * wire.messageSeconds();
        return new Transfer(transport, wire.latencySeconds(), latency + longest, busy, busy.keySet());
    }

    /** One message between two members. */
    Traffic message(int from, int to, double count) {
        flow(from, to, count, false);
        return then(1, 1);
    }

    /** What one member sends to each of the others; see {@link #exchange}. */
    void messages(int from, double[] counts) {
        for (int to = 0; to < size(); to++) {
            if (to != from) {
                flow(from, to, counts[to], false);
            }
        }
    }

    /** All messages of all members at once. */
    Traffic exchange() {
        return then(1, size() - 1);
    }

    private Traffic then(int moreSteps, int moreMessages) {
        steps += moreSteps;
        messages += moreMessages;
        return this;
    }

    /** @param reversed whether it goes the other way */
    private void flow(int fromIndex, int toIndex, double count, boolean reversed) {
        int from = ranks.get(reversed ? toIndex : fromIndex);
        int to = ranks.get(reversed ? fromIndex : toIndex);
        if (!topology.sameNode(from, to)) {
            add(new Link(Kind.CARD_OUT, from, from), count);
            add(new Link(Kind.CARD_IN, to, to), count);
            return;
        }
        switch (topology.fabric()) {
            case MESH -> add(new Link(Kind.PAIR, from, to), count);
            case SWITCH -> {
                add(new Link(Kind.PORT_OUT, from, from), count);
                add(new Link(Kind.PORT_IN, to, to), count);
            }
            case BUS -> {
                int node = topology.nodeOf(from);
                add(new Link(Kind.BUS, node, node), count);
            }
        }
    }

    /** What a member sends to and gets from other nodes. */
    private void cards(int index, double sent, double received, boolean reversed) {
        int rank = ranks.get(index);
        add(new Link(Kind.CARD_OUT, rank, rank), reversed ? received : sent);
        add(new Link(Kind.CARD_IN, rank, rank), reversed ? sent : received);
    }

    private void add(Link link, double count) {
        bytes.merge(link, count, Double::sum);
    }

    /** Whether {@link #spread} can go this way. */
    boolean allows(Transport transport, double[] parts) {
        return switch (transport) {
            case DIRECT, RING, RECURSIVE -> true;
            case SCATTERED -> root(parts) >= 0 && size() > 2;
            case RAILS -> crosses() && rails().size() > 1;
        };
    }

    /**
     * Part i, in bytes, comes from member i to all others; reversed, from all others to member i.
     *
     * @param parts one for each member
     */
    Traffic spread(Transport transport, double[] parts, boolean reversed) {
        return switch (transport) {
            case DIRECT -> direct(parts, reversed);
            case RING -> ring(parts, reversed);
            case RECURSIVE -> recursive(parts, reversed);
            case SCATTERED -> scattered(root(parts), parts, reversed);
            case RAILS -> rails(parts, reversed);
        };
    }

    private Traffic direct(double[] parts, boolean reversed) {
        double total = sum(parts);
        for (List<Integer> node : nodes) {
            double inside = node.stream().mapToDouble(i -> parts[i]).sum();
            for (int i : node) {
                for (int j : node) {
                    if (i != j) {
                        flow(i, j, parts[i], reversed);
                    }
                }
                // Cards see sums only, so a group of thousands needs no list of all pairs.
                cards(i, parts[i] * (size() - node.size()), total - inside, reversed);
            }
        }
        return then(1, size() - 1);
    }

    private Traffic ring(double[] parts, boolean reversed) {
        double total = sum(parts);
        for (int i = 0; i < size(); i++) {
            int next = (i + 1) % size();
            flow(i, next, total - parts[next], reversed);
        }
        return then(size() - 1, size() - 1);
    }

    private Traffic recursive(double[] parts, boolean reversed) {
        double[] before = new double[2 * size() + 1];
        for (int i = 0; i < 2 * size(); i++) {
            before[i + 1] = before[i] + parts[i % size()];
        }
        for (int distance = 1; distance < size(); distance *= 2) {
            int passed = Math.min(distance, size() - distance);
            for (int i = 0; i < size(); i++) {
                flow(i, Math.floorMod(i - distance, size()), before[i + passed] - before[i], reversed);
            }
            then(1, 1);
        }
        return this;
    }

    private Traffic scattered(int root, double[] parts, boolean reversed) {
        double piece = parts[root] / (size() - 1);
        double[] pieces = new double[size()];
        Arrays.fill(pieces, piece);
        pieces[root] = 0;
        for (int i = 0; i < size(); i++) {
            if (i != root) {
                flow(root, i, piece, reversed);
                // The root needs no piece back.
                flow(i, root, -piece, reversed);
            }
        }
        return then(1, size() - 1).direct(pieces, reversed);
    }

    private Traffic rails(double[] parts, boolean reversed) {
        List<List<Integer>> rails = rails();
        int root = root(parts);
        double[] own = root < 0 ? parts : inNode(root, parts[root] / rails.size(), reversed);
        for (List<Integer> rail : rails) {
            double inRail = rail.stream().mapToDouble(i -> own[i]).sum();
            for (int i : rail) {
                cards(i, own[i] * (rail.size() - 1), inRail - own[i], reversed);
                for (int j : neighbours.get(i)) {
                    if (i != j) {
                        flow(i, j, inRail, reversed);
                    }
                }
            }
        }
        return then(2, rails.getFirst().size() - 1 + rails.size() - 1);
    }

    /** Gives each rank of the root's node a piece, so that all rails have one; returns what each member has. */
    private double[] inNode(int root, double piece, boolean reversed) {
        double[] own = new double[size()];
        for (int i : neighbours.get(root)) {
            own[i] = piece;
            if (i != root) {
                flow(root, i, piece, reversed);
            }
        }
        then(1, neighbours.get(root).size() - 1);
        return own;
    }

    /** The only member with a part, or -1 if there are more. */
    private static int root(double[] parts) {
        int[] filled =
                IntStream.range(0, parts.length).filter(i -> parts[i] > 0).toArray();
        return filled.length == 1 ? filled[0] : -1;
    }

    private static double sum(double[] parts) {
        double total = 0;
        for (double part : parts) {
            total += part;
        }
        return total;
    }

    /** Members with the same place among those of their node; none if nodes have different numbers of members. */
    private List<List<Integer>> rails() {
        int perNode = nodes.getFirst().size();
        if (nodes.stream().anyMatch(node -> node.size() != perNode)) {
            return List.of();
        }
        return IntStream.range(0, perNode)
                .mapToObj(place -> nodes.stream().map(node -> node.get(place)).toList())
                .toList();
    }
}
