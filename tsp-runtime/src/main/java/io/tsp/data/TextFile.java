package io.tsp.data;

import io.tsp.model.ModelException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;

/**
 * A text as it was when it was looked at.
 *
 * @param path as the user named it
 * @param bytes its size
 * @param modified when it was last written
 */
record TextFile(Path path, long bytes, Instant modified) {
    /**
     * Looks at a file without opening it, because opening a pipe blocks.
     *
     * @throws ModelException (FILE) if it is missing or not a regular file
     */
    static TextFile of(Path path) {
        try {
            BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
            if (attributes.isDirectory()) {
                throw refusal(path + " is a directory; name the text files in it");
            }
            if (!attributes.isRegularFile()) {
                throw refusal(path + " is not a regular file; write the text to one and name that");
            }
            return new TextFile(
                    path, attributes.size(), attributes.lastModifiedTime().toInstant());
        } catch (NoSuchFileException e) {
            throw new ModelException(
                    ModelException.Part.FILE, "there is no file " + path + "; check the path of the text", e);
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    /**
     * Makes sure that it still is what it was.
     *
     * @param read bytes that were read of it
     * @throws ModelException (FILE) if it was changed
     */
    void requireUnchanged(long read) {
        if (read != bytes || !of(path).equals(this)) {
            throw refusal(path + " was changed while it was read; start again when nobody writes to it");
        }
    }

    /** The operating system's refusal. */
    static ModelException unreadable(Path path, IOException cause) {
        return new ModelException(
                ModelException.Part.FILE,
                path + " cannot be read (" + reason(cause) + "); check its permissions and the disk",
                cause);
    }

    /** Why, without the path, which the sentence around it names. */
    static String reason(IOException cause) {
        String reason = cause instanceof FileSystemException failure ? failure.getReason() : cause.getMessage();
        return reason == null ? cause.getClass().getSimpleName() : reason;
    }

    private static ModelException refusal(String sentence) {
        return new ModelException(ModelException.Part.FILE, sentence);
    }
}
