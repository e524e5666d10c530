package io.tsp.launch;

import io.tsp.launch.LaunchException.Reason;
import java.util.Map;

/**
 * Where ranks come together.
 *
 * @param host name or address of rank 0's machine
 * @param port 1 to 65535; on rank 0, 0 for any that is free
 * @param token what all ranks must know; empty if none is set
 */
public record Place(String host, int port, String token) {
    private static final String PLACE = "TSP_RENDEZVOUS";
    private static final String TOKEN = "TSP_RENDEZVOUS_TOKEN";
    private static final int MAX_PORT = 65535;

    public Place {
        if (port < 0 || port > MAX_PORT) {
            throw new IllegalArgumentException("there is no port " + port);
        }
    }

    /**
     * The place that the environment names: {@code TSP_RENDEZVOUS=host:port}, else {@code MASTER_ADDR} and {@code
     * MASTER_PORT} as torchrun sets them. Where torchrun's own agent listens on that port, the one beside it is taken.
     *
     * @throws LaunchException if it names none
     */
    public static Place of(Map<String, String> environment) {
        String token = environment.getOrDefault(TOKEN, "");
        String place = environment.getOrDefault(PLACE, "");
        if (!place.isEmpty()) {
            int colon = place.lastIndexOf(':');
            String host = colon < 0 ? "" : place.substring(0, colon).replaceAll("^\\[|]$", "");
            return new Place(require(host, PLACE, place), port(place.substring(colon + 1), PLACE, place), token);
        }
        String host = environment.getOrDefault("MASTER_ADDR", "");
        String port = environment.getOrDefault("MASTER_PORT", "");
        if (host.isEmpty() || port.isEmpty()) {
            throw new LaunchException(
                    Reason.SETTINGS,
                    "ranks on GPUs must know where to find rank 0: set " + PLACE
                            + "=host:port for all of them, with the"
                            + " name of rank 0's machine and a port that is free there");
        }
        int named = port(port, "MASTER_PORT", port);
        boolean taken = "True".equalsIgnoreCase(environment.get("TORCHELASTIC_USE_AGENT_STORE"));
        return new Place(host, taken ? beside(named) : named, token);
    }

    private static int beside(int port) {
        return port == MAX_PORT ? port - 1 : port + 1;
    }

    private static String require(String host, String variable, String value) {
        if (host.isEmpty()) {
            throw new LaunchException(Reason.SETTINGS, variable + "=" + value + " must be host:port");
        }
        return host;
    }

    private static int port(String digits, String variable, String value) {
        int port = digits.matches("\\d{1,5}") ? Integer.parseInt(digits) : 0;
        if (port < 1 || port > MAX_PORT) {
            throw new LaunchException(
                    Reason.SETTINGS,
                    variable + "=" + value + " names no port, which is a number from 1 to " + MAX_PORT);
        }
        return port;
    }

    /** Whether only processes of this machine can come here. */
    boolean isLoopback() {
        return host.equals("localhost") || host.equals("::1") || host.matches("127(\\.\\d{1,3}){3}");
    }

    /** Without the token. */
    @Override
    public String toString() {
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
    }
}
