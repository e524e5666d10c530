package io.tsp.evaluate;

/** A result that is not a finite number. The message says which. */
public final class NumericException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public NumericException(String message) {
        super(message);
    }
}
