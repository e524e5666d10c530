package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.StorageException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that processes of one launcher hang, or make a checkpoint without one of them. */
class ProcessesTest {
    private static final SmallRun RUN = SmallRun.random(new SplittableRandom(2), 4);
    private static final Duration SHORT = Duration.ofMillis(400);

    private final ExecutorService threads = Executors.newFixedThreadPool(3);

    @TempDir
    Path out;

    @AfterEach
    void stop() {
        threads.shutdownNow();
    }

    /** Four ranks in three processes, which begin in any order. */
    @Test
    void processesSaveOneCheckpoint() throws Exception {
        List<List<Integer>> processes = List.of(List.of(0), List.of(3, 1), List.of(2));
        try (CheckpointStore first = CheckpointStore.open(out, 2)) {
            List<CheckpointStore> stores = List.of(first, CheckpointStore.join(out), CheckpointStore.join(out));
            for (long step : List.of(1, 2, 3, 3)) {
                List<Future<?>> saves = new ArrayList<>();
                for (int process = 2; process >= 0; process--) {
                    CheckpointStore store = stores.get(process);
                    List<Integer> ranks = processes.get(process);
                    saves.add(threads.submit(() -> save(store, step, ranks, SmallRun.PATIENCE)));
                }
                for (Future<?> save : saves) {
                    assertNull(save.get());
                }
                assertEquals(
                        RUN.info(step),
                        SmallRun.requireWhole(stores.get(2).newest().orElseThrow()));
            }
            assertEquals(2, first.all().size());
        }
    }

    @Test
    void ranksThatDoNotComeAreNamed() throws Exception {
        try (CheckpointStore first = CheckpointStore.open(out, 2)) {
            RUN.save(first, 1);
            CheckpointStore other = CheckpointStore.join(out);
            Future<?> waiting = threads.submit(() -> save(other, 2, List.of(2), SmallRun.PATIENCE));
            StorageException refusal = assertThrows(StorageException.class, () -> save(first, 2, List.of(0), SHORT));
            assertTrue(refusal.getMessage().contains("for ranks [1, 3] to write"), refusal.getMessage());
            Throwable given =
                    assertThrows(ExecutionException.class, waiting::get).getCause();
            assertTrue(given instanceof StorageException, given.toString());
            assertTrue(given.getMessage().contains("step-000002 was not saved"), given.getMessage());
            assertFalse(Files.exists(out.resolve(".step-000002.tmp")));
            assertEquals(1, SmallRun.requireWhole(first.newest().orElseThrow()).step());
        }
    }

    @Test
    void aProcessDoesNotWaitForEverForTheFirst() {
        CheckpointStore other = CheckpointStore.join(out);
        String message = assertThrows(StorageException.class, () -> save(other, 2, List.of(1), SHORT))
                .getMessage();
        assertTrue(message.contains("the process with rank 0 to begin"), message);
    }

    private static void save(CheckpointStore store, long step, List<Integer> ranks, Duration deadline) {
        List<RankState> states = new ArrayList<>();
        ranks.forEach(rank -> states.add(RUN.states(step).get(rank)));
        store.save(RUN.info(step), SmallRun.FILES, states, deadline);
    }
}
