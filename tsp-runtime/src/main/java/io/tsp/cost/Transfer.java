package io.tsp.cost;

import io.tsp.cost.Topology.Link;
import java.util.Map;
import java.util.Set;

/**
 * What an exchange asks of the links, once all members have come.
 *
 * @param transport how it is done
 * @param latencySeconds of one step, in which no bytes move yet
 * @param seconds from the last member's arrival to the end, if no other transfer is in the way
 * @param busySeconds how long each link moves bytes
 * @param links what no other transfer may use meanwhile: all links that some transport would use, so that a faster
 *     link, which may change the transport, never changes who is in whose way
 */
public record Transfer(
        Transport transport, double latencySeconds, double seconds, Map<Link, Double> busySeconds, Set<Link> links) {
    public Transfer {
        busySeconds = Map.copyOf(busySeconds);
        links = Set.copyOf(links);
    }

    Transfer keeping(Set<Link> more) {
        return new Transfer(transport, latencySeconds, seconds, busySeconds, more);
    }
}
