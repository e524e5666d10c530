package io.tsp.program;

/**
 * Programs, their schedules or a memory plan are not right. The message is one sentence: what, on which rank, at which
 * step.
 */
public final class VerificationException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public VerificationException(String message) {
        super(message);
    }

    static VerificationException at(int rank, Step step, String defect) {
        return new VerificationException(step(rank, step) + ": " + defect);
    }

    /** What a message calls a step. */
    static String step(int rank, Step step) {
        return "rank " + rank + ", step " + step;
    }
}
