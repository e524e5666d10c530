package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.Disk;
import io.tsp.checkpoint.StorageException;
import io.tsp.tensor.SystemClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * How processes that share nothing but the folder save one checkpoint: the first makes the directory, each of the
 * others leaves a small file for each of its ranks when that is durable, the first gathers them and commits.
 */
final class Rendezvous {
    private static final long POLL_MILLIS = 10;

    private final Disk disk;
    private final Path temporary;
    private final Path committed;
    private final Duration limit;
    private final long end;

    Rendezvous(Disk disk, Path temporary, Path committed, Duration limit) {
        this.disk = disk;
        this.temporary = temporary;
        this.committed = committed;
        this.limit = limit;
        this.end = SystemClock.nanos() + limit.toNanos();
    }

    /** Waits for the directory; returns what tells it from every other directory. */
    Object awaitDirectory() throws IOException {
        for (; ; ) {
            Object identity = identity(temporary);
            if (identity != null) {
                return identity;
            }
            pause("the process with rank 0 to begin");
        }
    }

    /** Says that a rank's file is durable. */
    void report(int rank, List<FileEntry> written) throws IOException {
        Path sidecar = temporary.resolve(StepNames.sidecar(rank));
        Path draft = temporary.resolve("." + StepNames.sidecar(rank) + StepNames.TEMPORARY);
        disk.writeFile(draft, Manifest.sidecar(written));
        disk.move(draft, sidecar);
    }

    /** Waits until ranks of other processes have reported, and takes their reports away. */
    List<FileEntry> collect(List<Integer> ranks) throws IOException {
        List<FileEntry> files = new ArrayList<>();
        SortedSet<Integer> missing = new TreeSet<>(ranks);
        while (!missing.isEmpty()) {
            for (int rank : List.copyOf(missing)) {
                Path sidecar = temporary.resolve(StepNames.sidecar(rank));
                if (Files.exists(sidecar, LinkOption.NOFOLLOW_LINKS)) {
                    files.addAll(ManifestReader.readSidecar(sidecar.toString(), Files.readAllBytes(sidecar)));
                    disk.delete(sidecar);
                    missing.remove(rank);
                }
            }
            if (!missing.isEmpty()) {
                pause("ranks " + missing + " to write their files");
            }
        }
        return files;
    }

    /** Waits until the directory has its name; one of the same name that was there before does not count. */
    void awaitCommit(Object identity) throws IOException {
        while (identity.equals(identity(temporary))) {
            pause("the process with rank 0 to commit");
        }
        if (!identity.equals(identity(committed))) {
            throw new StorageException(committed + " was not saved: the process with rank 0 gave up; see its message");
        }
    }

    private static @Nullable Object identity(Path directory) throws IOException {
        try {
            return Objects.requireNonNull(
                    Files.readAttributes(directory, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                            .fileKey(),
                    "file systems of this platform have keys");
        } catch (NoSuchFileException e) {
            return null;
        }
    }

    private void pause(String what) {
        if (SystemClock.nanos() - end >= 0) {
            throw new StorageException(committed + " was not saved: waited " + limit.toMillis() + " ms for " + what
                    + "; look at their output, or allow more time");
        }
        try {
            TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new StorageException(committed + " was not saved: interrupted while waiting for " + what, e);
        }
    }
}
