package io.tsp.ffm;

/**
 * A native library is missing, cannot be loaded, or is not the one this build expects. The message names every path
 * tried, the loader's own words, and what to do.
 */
public final class NativeLibraryException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public NativeLibraryException(String message) {
        super(message);
    }

    public NativeLibraryException(String message, Throwable cause) {
        super(message, cause);
    }
}
