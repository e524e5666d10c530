package io.tsp.launch;

/** The ranks of a launcher do not come together or do not stay together. The message names the ranks. */
public final class LaunchException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** What kind of failure it is. */
    public enum Reason {
        /** Environment or options must be changed. */
        SETTINGS,
        /** Somebody did not come in time. */
        DEADLINE,
        /** Somebody failed or went away. */
        PEER_LOST,
        /** Ranks were started with different options. */
        RANKS_DISAGREE
    }

    private final Reason reason;

    public LaunchException(Reason reason, String message) {
        super(message);
        this.reason = reason;
    }

    public Reason reason() {
        return reason;
    }
}
