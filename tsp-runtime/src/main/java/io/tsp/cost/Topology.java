package io.tsp.cost;

import java.util.Locale;

/**
 * How ranks are connected. Consecutive ranks share a node; between nodes every rank has a network card of its own, and
 * the network behind the cards does not block.
 *
 * @param nodeSize ranks of a node
 * @param node what connects ranks of a node
 * @param network the card of a rank
 */
public record Topology(int nodeSize, Fabric fabric, Wire node, Wire network) {
    private static final int MOST_RANKS = 1 << 20;

    /** What a node is. */
    public enum Fabric {
        /** A link of its own for each ordered pair of ranks; nothing is forwarded. */
        MESH,
        /** A port in and a port out for each rank, on a switch that does not block. */
        SWITCH,
        /** One bus for all, such as a host's memory. */
        BUS
    }

    /**
     * One link.
     *
     * @param bytesPerSecond achieved, one way
     * @param latencySeconds from the last member's arrival to the first byte
     * @param messageSeconds what each further message of the same rank costs before it is on its way
     */
    public record Wire(double bytesPerSecond, double latencySeconds, double messageSeconds) {}

    static Topology of(ProfileNode node) {
        node.only("links", "node", "network");
        ProfileNode links = node.member("links");
        ProfileNode inside = node.member("node").only("kind", "link", "size");
        return new Topology(
                (int) inside.count("size", 1, MOST_RANKS),
                fabric(inside.member("kind")),
                wire(links, inside.member("link")),
                wire(links, node.member("network").only("link").member("link")));
    }

    private static Fabric fabric(ProfileNode kind) {
        return switch (kind.text()) {
            case "mesh" -> Fabric.MESH;
            case "switch" -> Fabric.SWITCH;
            case "bus" -> Fabric.BUS;
            default -> throw kind.failure("there is no kind of node \"" + kind.text() + "\"; use mesh, switch or bus");
        };
    }

    private static Wire wire(ProfileNode links, ProfileNode reference) {
        ProfileNode link = links.find(reference.text());
        if (link == null) {
            throw reference.failure("there is no link \"" + reference.text() + "\"; \"links\" has "
                    + links.members().keySet());
        }
        link.only("bytesPerSecond", "latencySeconds", "messageSeconds");
        return new Wire(
                link.positive("bytesPerSecond"),
                link.nonNegative("latencySeconds"),
                link.nonNegative("messageSeconds"));
    }

    int nodeOf(int rank) {
        return rank / nodeSize;
    }

    boolean sameNode(int a, int b) {
        return nodeOf(a) == nodeOf(b);
    }

    /** Something that one transfer at a time may use, such as the way from one rank to another. */
    public record Link(Kind kind, int from, int to) {
        /** What it is. */
        public enum Kind {
            /** From a rank to a rank of its node. */
            PAIR,
            /** From a rank to its node's switch. */
            PORT_OUT,
            PORT_IN,
            /** Of a node. */
            BUS,
            /** From a rank to the network. */
            CARD_OUT,
            CARD_IN
        }

        boolean inNode() {
            return kind != Kind.CARD_OUT && kind != Kind.CARD_IN;
        }

        @Override
        public String toString() {
            String name = kind.name().toLowerCase(Locale.ROOT).replace('_', ' ');
            return kind == Kind.PAIR ? name + " " + from + "->" + to : name + " " + from;
        }
    }

    Wire wire(Link link) {
        return link.inNode() ? node : network;
    }
}
