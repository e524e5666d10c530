package io.tsp.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Every change that writers of this package make to a file system, one method each. Crash and full-disk tests override
 * {@link #before} to stop or fail at any of them.
 */
public class Disk {
    /** What is about to happen to a path. */
    public enum Operation {
        CREATE_DIRECTORY,
        CREATE,
        WRITE,
        FORCE,
        CLOSE,
        MOVE,
        DELETE,
        FORCE_DIRECTORY
    }

    /** Files as the user's umask makes them. */
    public static final Disk SHARED = new Disk(false);

    /** Files (0600) and directories (0700) that only their owner can read. */
    public static final Disk PRIVATE = new Disk(true);

    private final boolean ownerOnly;

    protected Disk(boolean ownerOnly) {
        this.ownerOnly = ownerOnly;
    }

    /** Called before each operation; what it throws, the operation throws instead of happening. */
    protected void before(Operation operation, Path path) throws IOException {}

    /** Makes a directory that does not exist yet; its parent does. */
    public final void createDirectory(Path directory) throws IOException {
        before(Operation.CREATE_DIRECTORY, directory);
        Files.createDirectory(directory, attributes("rwx------"));
    }

    /** Makes and opens a file that does not exist yet. */
    public final FileChannel create(Path file) throws IOException {
        before(Operation.CREATE, file);
        return FileChannel.open(
                file, Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW), attributes("rw-------"));
    }

    /** Writes some of the bytes that remain; returns how many. */
    public final int write(FileChannel channel, Path file, ByteBuffer bytes) throws IOException {
        before(Operation.WRITE, file);
        return channel.write(bytes);
    }

    /** Makes a file's content durable. */
    public final void force(FileChannel channel, Path file) throws IOException {
        before(Operation.FORCE, file);
        channel.force(true);
    }

    /** Closes a file, even where {@link #before} refuses: a handle is not kept by a process that is gone. */
    public final void close(FileChannel channel, Path file) throws IOException {
        if (!channel.isOpen()) {
            return;
        }
        try (channel) {
            before(Operation.CLOSE, file);
        }
    }

    /** Gives a file or directory another name in one step; an existing file (not a directory) is replaced. */
    public final void move(Path from, Path to) throws IOException {
        before(Operation.MOVE, from);
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /** Removes a file or an empty directory if it is there. */
    public final void delete(Path path) throws IOException {
        before(Operation.DELETE, path);
        Files.deleteIfExists(path);
    }

    /** Makes the names in a directory durable. */
    public final void forceDirectory(Path directory) throws IOException {
        before(Operation.FORCE_DIRECTORY, directory);
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /** Writes a whole new file and makes its content durable; the name is not. */
    public final void writeFile(Path file, byte[] content) throws IOException {
        FileChannel channel = create(file);
        try {
            ByteBuffer bytes = ByteBuffer.wrap(content);
            while (bytes.hasRemaining()) {
                write(channel, file, bytes);
            }
            force(channel, file);
        } finally {
            close(channel, file);
        }
    }

    /** Removes a directory with all that is in it, if it is there; links are removed, not followed. */
    public final void deleteTree(Path root) throws IOException {
        if (Files.isDirectory(root, LinkOption.NOFOLLOW_LINKS)) {
            List<Path> entries;
            try (Stream<Path> listed = Files.list(root)) {
                entries = listed.toList();
            }
            for (Path entry : entries) {
                deleteTree(entry);
            }
        }
        delete(root);
    }

    /** Removes what a failed writer made; where that fails, too, the failure says so. */
    public final void discard(Path root, Throwable failure) {
        try {
            deleteTree(root);
        } catch (IOException | RuntimeException | Error e) {
            failure.addSuppressed(e);
        }
    }

    /** What went wrong, without the path, which may be that of a temporary file that says nothing to a user. */
    public static String reason(IOException cause) {
        if (cause instanceof NoSuchFileException) {
            return "there is no such folder";
        }
        if (cause instanceof FileSystemException failure && failure.getReason() != null) {
            return failure.getReason();
        }
        return cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    }

    private FileAttribute<?>[] attributes(String permissions) {
        return ownerOnly
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions))
                }
                : new FileAttribute<?>[0];
    }
}
