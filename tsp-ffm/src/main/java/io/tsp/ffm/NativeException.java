package io.tsp.ffm;

/** A native function refused or failed: which one, with what status, and what it said. */
public final class NativeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Status status;
    private final String function;

    public NativeException(Status status, String function, String message) {
        super(function + " failed with " + status + ": " + message);
        this.status = status;
        this.function = function;
    }

    public Status status() {
        return status;
    }

    /** The kernel or C function that failed. */
    public String function() {
        return function;
    }
}
