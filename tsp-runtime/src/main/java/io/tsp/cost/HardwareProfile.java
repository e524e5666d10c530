package io.tsp.cost;

import com.google.common.hash.Hashing;
import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Hardware that programs can be run on in simulated time. Read from a file in which every number has a source and a
 * date: a simulated figure is a consequence of its profile, and the hash says of which.
 *
 * <p>Reading order: this file is the first; next {@link CostModel}.
 *
 * @param name what the profile calls itself
 * @param hash SHA-256 of what it says, with all that it extends, whatever its layout
 * @param transports the ways in which each collective may be done, by its name; the cheapest is taken
 */
public record HardwareProfile(
        String name, String hash, DeviceProfile device, Topology topology, Map<String, Set<Transport>> transports) {
    /** Profiles that come with us. */
    public static final List<String> NAMES = List.of("mi300x", "mi300x-sdma", "h100", "h200", "zen5-2core");

    public HardwareProfile {
        transports = Map.copyOf(transports);
    }

    /**
     * Reads a profile.
     *
     * @param name one of {@link #NAMES}, or the path of a file that ends with .json
     * @throws ProfileException if there is none or it cannot be used; one sentence with file and line
     */
    public static HardwareProfile of(String name) {
        ProfileNode root = ProfileReader.read(name);
        root.only("name", "device", "topology", "transports");
        StringBuilder canonical = new StringBuilder();
        root.canonical(canonical);
        return new HardwareProfile(
                root.member("name").text(),
                Hashing.sha256().hashString(canonical, StandardCharsets.UTF_8).toString(),
                DeviceProfile.of(root.member("device")),
                Topology.of(root.member("topology")),
                transports(root.member("transports")));
    }

    private static Map<String, Set<Transport>> transports(ProfileNode node) {
        node.only(Transport.COLLECTIVES.toArray(String[]::new));
        Map<String, Set<Transport>> transports = new HashMap<>();
        for (String collective : Transport.COLLECTIVES) {
            ProfileNode list = node.member(collective);
            Set<Transport> ways = EnumSet.noneOf(Transport.class);
            list.items().forEach(item -> ways.add(transport(item)));
            if (!ways.contains(Transport.RING) && !ways.contains(Transport.DIRECT)) {
                throw list.failure(collective + " needs ring or direct, which work in every group");
            }
            transports.put(collective, Set.copyOf(ways));
        }
        return transports;
    }

    private static Transport transport(ProfileNode node) {
        Map<Transport, String> names = new EnumMap<>(Transport.class);
        for (Transport transport : Transport.values()) {
            names.put(transport, transport.name().toLowerCase(Locale.ROOT).replace('_', '-'));
            if (node.text().equals(names.get(transport))) {
                return transport;
            }
        }
        throw node.failure("there is no transport \"" + node.text() + "\"; use " + String.join(", ", names.values()));
    }
}
