package io.tsp.model;

/** A model directory that cannot be used. The message is one sentence: what is wrong, where, and what to do. */
public final class ModelException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Which part is bad; decides the exit code. */
    public enum Part {
        /** Weights, index or tokenizer: exit code 65. */
        FILE,
        /** config.json: exit code 66. */
        CONFIG
    }

    private final Part part;

    public ModelException(Part part, String message) {
        super(message);
        this.part = part;
    }

    public ModelException(Part part, String message, Throwable cause) {
        super(message, cause);
        this.part = part;
    }

    public Part part() {
        return part;
    }
}
