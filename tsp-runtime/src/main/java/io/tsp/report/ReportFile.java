package io.tsp.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import io.tsp.checkpoint.StorageException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A file that is opened before the work whose result it takes, so that an unwritable path is found out first. The
 * text goes to a hidden file beside the target and takes its name once it is complete; what is there and is no regular
 * file, such as {@code /dev/stdout}, is written directly.
 */
public final class ReportFile implements AutoCloseable {
    /** Writes a JSON document. */
    @FunctionalInterface
    public interface Body {
        void write(JsonGenerator json) throws IOException;
    }

    /** Writes bytes. */
    @FunctionalInterface
    public interface Bytes {
        void write(OutputStream stream) throws IOException;
    }

    private final Path target;
    private final Path written;
    private final OutputStream stream;

    private ReportFile(Path target, Path written, OutputStream stream) {
        this.target = target;
        this.written = written;
        this.stream = stream;
    }

    /**
     * Begins a file.
     *
     * @throws StorageException if it cannot be made
     */
    public static ReportFile create(Path target) {
        Path absolute = target.toAbsolutePath();
        boolean direct = Files.exists(absolute) && !Files.isRegularFile(absolute);
        Path written = direct
                ? absolute
                : absolute.resolveSibling("." + absolute.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            OutputStream stream = direct
                    ? Files.newOutputStream(written, StandardOpenOption.WRITE)
                    : Files.newOutputStream(written, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);
            return new ReportFile(absolute, written, new BufferedOutputStream(stream));
        } catch (IOException e) {
            throw unwritable(target, e);
        }
    }

    /**
     * Writes the whole document, a line for each member, and gives the file its name.
     *
     * @throws StorageException if the disk is full or fails
     */
    public void write(Body body) {
        write(body, new DefaultPrettyPrinter().withArrayIndenter(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE));
    }

    /** The same without line breaks, for documents of many thousand members. */
    public void writeCompact(Body body) {
        write(body, null);
    }

    private void write(Body body, @Nullable DefaultPrettyPrinter printer) {
        writeBytes(out -> {
            try (JsonGenerator json = new JsonFactory().createGenerator(out)) {
                json.setPrettyPrinter(printer);
                body.write(json);
                json.writeRaw(System.lineSeparator());
            }
        });
    }

    /**
     * Writes something that is not JSON and gives the file its name.
     *
     * @throws StorageException if the disk is full or fails
     */
    public void writeBytes(Bytes bytes) {
        try (stream) {
            bytes.write(stream);
        } catch (IOException e) {
            throw unwritable(target, e);
        }
        if (!written.equals(target)) {
            try {
                Files.move(written, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                throw unwritable(target, e);
            }
        }
    }

    /** Leaves nothing behind if the document was not written. */
    @Override
    public void close() {
        try {
            stream.close();
            if (!written.equals(target)) {
                Files.deleteIfExists(written);
            }
        } catch (IOException e) {
            throw unwritable(target, e);
        }
    }

    private static StorageException unwritable(Path target, IOException cause) {
        return new StorageException(
                target + " cannot be written (" + reason(target, cause) + "); free space there or choose another place",
                cause);
    }

    /** The operating system's words, without the name of the hidden file. */
    private static String reason(Path target, IOException cause) {
        Path folder = target.toAbsolutePath().getParent();
        if (folder != null && !Files.isDirectory(folder)) {
            return "there is no folder " + folder;
        }
        return switch (cause) {
            case AccessDeniedException _ -> "permission denied";
            case FileSystemException refused when refused.getReason() != null -> refused.getReason();
            case FileSystemException _ -> "new files are refused in " + folder;
            default -> cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
        };
    }
}
