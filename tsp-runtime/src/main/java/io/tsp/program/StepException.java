package io.tsp.program;

/** A step of a program failed on its device. The message names rank, step and what went wrong. */
public final class StepException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    StepException(String message, Throwable cause) {
        super(message, cause);
    }
}
