package io.tsp.evaluate;

/** A plan asks for more memory than there is. The message names how much, for what, and what to change. */
public final class InsufficientMemoryException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    InsufficientMemoryException(String message) {
        super(message);
    }
}
