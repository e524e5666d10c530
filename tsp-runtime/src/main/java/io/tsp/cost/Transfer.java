package io.tsp.cost;

import io.tsp.cost.Topology.Link;
import java.util.Map;

/**
 * What an exchange asks of the links, once all members have come.
 *
 * @param latencySeconds until bytes move
 * @param busySeconds how long each link is taken
 */
public record Transfer(Transport transport, double latencySeconds, Map<Link, Double> busySeconds) {
    public Transfer {
        busySeconds = Map.copyOf(busySeconds);
    }

    /** From the last member's arrival to the end, if no other transfer is in the way. */
    public double seconds() {
        return latencySeconds
                + busySeconds.values().stream()
                        .mapToDouble(Double::doubleValue)
                        .max()
                        .orElse(0);
    }
}
