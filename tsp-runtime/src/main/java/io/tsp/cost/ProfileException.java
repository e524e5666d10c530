package io.tsp.cost;

/** A hardware profile that cannot be used. The message is one sentence: what is wrong, in which file and line. */
public final class ProfileException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ProfileException(String message) {
        super(message);
    }

    static ProfileException at(String file, int line, String what) {
        return new ProfileException(file + ", line " + line + ": " + what);
    }
}
