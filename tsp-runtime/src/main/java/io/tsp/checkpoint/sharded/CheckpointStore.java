package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.Disk;
import io.tsp.checkpoint.StorageException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The folder that a run saves checkpoints into, {@code step-N} each. A checkpoint is written under a hidden name, made
 * durable, and takes its own name in one step, so what has a name is whole, whenever the process or the machine stops.
 * The lock is held while the store is open; a file without a holder is no lock. Not for several threads.
 */
public final class CheckpointStore implements AutoCloseable {
    private final Path out;
    private final Disk disk;
    private final int keep;
    private final @Nullable FileChannel lock;

    private CheckpointStore(Path out, Disk disk, int keep, @Nullable FileChannel lock) {
        this.out = out;
        this.disk = disk;
        this.keep = keep;
        this.lock = lock;
    }

    /**
     * Opens the folder for the process that has rank 0: makes it where it is missing, locks it, finishes or removes
     * what a killed process left.
     *
     * @param keep how many checkpoints stay, at least one
     * @throws StorageException if another process has it open, or it cannot be written
     */
    public static CheckpointStore open(Path out, int keep) {
        return open(out, keep, Disk.PRIVATE);
    }

    static CheckpointStore open(Path out, int keep, Disk disk) {
        if (keep < 1) {
            throw new IllegalArgumentException("of " + keep + " kept checkpoints nothing could be resumed; keep 1");
        }
        Path folder = out.toAbsolutePath().normalize();
        try {
            make(disk, folder);
            FileChannel lock = lock(folder);
            try {
                Leftovers.sweep(disk, folder);
            } catch (IOException | RuntimeException | Error e) {
                lock.close();
                throw e;
            }
            return new CheckpointStore(folder, disk, keep, lock);
        } catch (IOException e) {
            throw problem(folder + " cannot be used for checkpoints", e);
        }
    }

    /**
     * Opens the folder for another process of the same launcher, and makes it if the process with rank 0 has not come to
     * it yet: no lock, nothing removed. Before any of them saves, that process must have opened it.
     *
     * @throws StorageException if it cannot be made
     */
    public static CheckpointStore join(Path out) {
        return join(out, Disk.PRIVATE);
    }

    static CheckpointStore join(Path out, Disk disk) {
        Path folder = out.toAbsolutePath().normalize();
        try {
            make(disk, folder);
        } catch (IOException e) {
            throw problem(folder + " cannot be used for checkpoints", e);
        }
        return new CheckpointStore(folder, disk, 1, null);
    }

    private static void make(Disk disk, Path folder) throws IOException {
        if (Files.isDirectory(folder)) {
            return;
        }
        Path parent = folder.getParent();
        if (parent != null) {
            Files.createDirectories(parent);
        }
        try {
            disk.createDirectory(folder);
        } catch (FileAlreadyExistsException e) {
            // Another process of the launcher was faster.
            if (!Files.isDirectory(folder)) {
                throw e;
            }
        }
    }

    /** The checkpoint of the highest step. */
    public Optional<Path> newest() {
        List<Path> all = all();
        return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
    }

    /** Every checkpoint, in the order of their steps. */
    public List<Path> all() {
        try (Stream<Path> entries = Files.list(out)) {
            return entries.filter(entry -> StepNames.step(entry).isPresent())
                    .filter(entry -> Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS))
                    .sorted(Comparator.comparingLong(
                            entry -> StepNames.step(entry).getAsLong()))
                    .toList();
        } catch (IOException e) {
            throw problem(out + " cannot be listed", e);
        }
    }

    /**
     * Saves a checkpoint and returns when it is durable. One of the same step is replaced. Then those of the lowest
     * steps go, down to as many as are kept; the one just saved stays in any case.
     *
     * @param files what lies beside the weights, by name: config.json at least, tokenizer files; the process with rank
     *     0 writes them
     * @param local the ranks of this process; those of other processes are waited for
     * @param deadline how long to wait for other processes
     * @throws StorageException if it cannot be written, or another process is not done in time; nothing is left then,
     *     and earlier checkpoints are as they were
     * @throws IllegalArgumentException if files or slices would not be read back: no config.json, or weights that the
     *     ranks do not cover exactly once
     */
    public void save(CheckpointInfo info, Map<String, byte[]> files, List<RankState> local, Duration deadline) {
        Save save = new Save(disk, out, info, local, deadline);
        try {
            if (!save.hasFirstRank()) {
                save.contribute();
                return;
            }
            save.write(files);
        } catch (IOException e) {
            throw problem("the checkpoint of step " + info.step() + " cannot be saved in " + out, e);
        }
        try {
            retire(save.committed());
        } catch (IOException e) {
            throw problem(save.committed() + " is saved but an older checkpoint cannot be removed", e);
        }
    }

    @Override
    public void close() {
        if (lock != null) {
            try {
                lock.close();
            } catch (IOException e) {
                throw problem(out + " cannot be unlocked", e);
            }
        }
    }

    private void retire(Path saved) throws IOException {
        List<Path> others = all().stream().filter(path -> !path.equals(saved)).toList();
        for (Path path : others.subList(0, Math.max(0, others.size() + 1 - keep))) {
            Leftovers.remove(disk, path, path.getFileName().toString());
        }
    }

    private static FileChannel lock(Path folder) throws IOException {
        FileChannel channel = FileChannel.open(
                folder.resolve(StepNames.LOCK),
                Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS));
        try {
            FileLock lock = channel.tryLock();
            if (lock != null) {
                return channel;
            }
        } catch (OverlappingFileLockException e) {
            channel.close();
            throw inUse(folder);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
        channel.close();
        throw inUse(folder);
    }

    private static StorageException inUse(Path folder) {
        return new StorageException(
                "another process trains into " + folder + "; wait for its end or choose another folder");
    }

    private static StorageException problem(String what, IOException cause) {
        return new StorageException(
                what + " (" + Disk.reason(cause) + "); free space there or choose another folder", cause);
    }
}
