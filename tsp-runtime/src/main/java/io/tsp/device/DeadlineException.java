package io.tsp.device;

/** Something did not happen in time. The message names what was waited for and who is missing. */
public final class DeadlineException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public DeadlineException(String message) {
        super(message);
    }
}
