package io.tsp.train;

import io.tsp.checkpoint.sharded.CheckpointInfo;
import io.tsp.checkpoint.sharded.RankState;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Writes checkpoints beside training: the state is copied at once, the copy is written by a thread. One at a time; a
 * failure comes out at the next call.
 */
final class CheckpointSaver implements AutoCloseable {
    private final Trainer.Saving saving;
    private final TrainingRunner runner;
    private final List<Snapshot> snapshots = new ArrayList<>();
    private final ExecutorService writer = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().name("checkpoint").daemon().factory());
    private @Nullable Future<?> last;

    /** Writes what a runner has trained. */
    CheckpointSaver(Trainer.Saving saving, TrainingRunner runner) {
        this.saving = saving;
        this.runner = runner;
    }

    /** Begins to write the state as it is now; waits for the former checkpoint first. */
    void save(CheckpointInfo info) {
        await();
        if (snapshots.isEmpty()) {
            for (int rank : runner.session().localRanks()) {
                snapshots.add(Snapshot.of(rank, runner.states(rank)));
            }
        }
        snapshots.forEach(snapshot -> snapshot.take(runner.session()));
        List<RankState> states = List.copyOf(snapshots);
        last = writer.submit(() -> saving.store().save(info, saving.files(), states, saving.deadline()));
    }

    /**
     * Returns when the last checkpoint is durable.
     *
     * @throws io.tsp.checkpoint.StorageException if it could not be written
     */
    void await() {
        Future<?> pending = last;
        last = null;
        if (pending == null) {
            return;
        }
        try {
            pending.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while a checkpoint was being written", e);
        }
    }

    /** Lets a checkpoint that is being written finish. */
    @Override
    public void close() {
        writer.shutdown();
        try {
            if (!writer.awaitTermination(saving.deadline().toSeconds(), TimeUnit.SECONDS)) {
                writer.shutdownNow();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
