package io.tsp.checkpoint;

/** A file that cannot be written: disk full, no permission, a failing device. Exit code 74. */
public final class StorageException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public StorageException(String message) {
        super(message);
    }

    public StorageException(String message, Throwable cause) {
        super(message, cause);
    }
}
