package io.tsp.comm;

/** Ranks that should do the same do not: another program, build or configuration. The message names the ranks. */
public final class RanksDisagreeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public RanksDisagreeException(String message) {
        super(message);
    }
}
