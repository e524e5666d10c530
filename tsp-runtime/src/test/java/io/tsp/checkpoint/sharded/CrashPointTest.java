package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.Disk;
import io.tsp.checkpoint.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that an interrupted save, or one onto a full disk, costs the run its checkpoints. */
class CrashPointTest {
    private static final SmallRun RUN = SmallRun.byRows(1);

    /** Stands in for SIGKILL. */
    private static final class Killed extends Error {
        private static final long serialVersionUID = 1L;
    }

    /** Counts operations; from one on nothing happens any more, as in a process that is gone. */
    private static final class Mortal extends Disk {
        private final int last;
        private int count;

        Mortal(int last) {
            super(true);
            this.last = last;
        }

        @Override
        protected void before(Operation operation, Path path) throws IOException {
            if (count++ >= last) {
                throw new Killed();
            }
        }
    }

    /** Refuses operations of some kinds from one on, or only that one. */
    private static final class Full extends Disk {
        private final int first;
        private final boolean once;
        private final Set<Operation> refused;
        private int count;
        private boolean hit;

        Full(int first, boolean once, Set<Operation> refused) {
            super(true);
            this.first = first;
            this.once = once;
            this.refused = refused;
        }

        @Override
        protected void before(Operation operation, Path path) throws IOException {
            int here = count++;
            if ((once ? here == first : here >= first) && refused.contains(operation)) {
                hit = true;
                throw new IOException("No space left on device");
            }
        }
    }

    @TempDir
    Path directory;

    /** 80 is a new checkpoint; 70 replaces the newest one. */
    @ParameterizedTest
    @ValueSource(longs = {80, 70})
    void aKillAtAnyOperationLeavesThePreviousStateOrTheNewOne(long step) throws IOException {
        boolean finished = false;
        boolean sawPrevious = false;
        boolean sawNew = false;
        for (int last = 0; !finished; last++) {
            Path out = prepared("kill" + last);
            finished = saveUntil(out, new Mortal(last), step);
            try (CheckpointStore reopened = CheckpointStore.open(out, 3)) {
                List<Path> all = reopened.all();
                for (Path checkpoint : all) {
                    SmallRun.requireWhole(checkpoint);
                }
                boolean previous = isState(all.getLast(), 70, "first");
                boolean current = isState(all.getLast(), step, "second");
                assertTrue(previous || current, () -> "killed leaves " + all);
                sawPrevious |= previous;
                sawNew |= current;
                assertTrue(all.size() >= 3, () -> "lost one of " + all);
                requireNothingHidden(out);
            }
        }
        assertTrue(sawPrevious && sawNew);
    }

    /** A kill while a restart cleans up after a kill. */
    @Test
    void aKillWhileSweepingLosesNothing() throws IOException {
        Mortal counting = new Mortal(Integer.MAX_VALUE);
        saveUntil(prepared("whole"), counting, 70);
        // The last operations take the replaced checkpoint's name and delete it.
        for (int last = counting.count - 16; last < counting.count; last++) {
            boolean swept = false;
            for (int sweep = 0; !swept; sweep++) {
                Path out = prepared("sweep" + last + "-" + sweep);
                saveUntil(out, new Mortal(last), 70);
                swept = openUntil(out, sweep);
                try (CheckpointStore reopened = CheckpointStore.open(out, 3)) {
                    assertEquals(
                            70,
                            SmallRun.requireWhole(reopened.newest().orElseThrow())
                                    .step());
                    requireNothingHidden(out);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {80, 70})
    void anErrorAtAnyOperationIsReportedAndTheRunCanSaveAgain(long step) throws IOException {
        requireReported(step, first -> new Full(first, true, EnumSet.allOf(Disk.Operation.class)));
    }

    @ParameterizedTest
    @ValueSource(longs = {80, 70})
    @Tag("long")
    void aDiskThatStaysFullIsReportedAndNothingIsLeft(long step) throws IOException {
        Set<Disk.Operation> space = EnumSet.of(
                Disk.Operation.CREATE, Disk.Operation.CREATE_DIRECTORY, Disk.Operation.WRITE, Disk.Operation.FORCE);
        requireReported(step, first -> new Full(first, false, space));
    }

    private void requireReported(long step, IntFunction<Full> disks) throws IOException {
        boolean failed = true;
        for (int first = 0; failed; first++) {
            Path out = prepared("full" + first);
            Full disk = disks.apply(first);
            int at = first;
            try (CheckpointStore store = CheckpointStore.open(out, 3, disk)) {
                disk.count = 0;
                failed = saveFails(store, step);
                assertEquals(disk.hit, failed, () -> "operation " + at);
                List<Path> all = store.all();
                assertTrue(all.size() >= 3, () -> "lost one of " + all);
                for (Path checkpoint : all) {
                    SmallRun.requireWhole(checkpoint);
                }
                assertFalse(Files.exists(out.resolve(".step-000080.tmp")), () -> "operation " + at);
                assertFalse(Files.exists(out.resolve(".step-000070.tmp")), () -> "operation " + at);
            }
            try (CheckpointStore again = CheckpointStore.open(out, 3)) {
                RUN.save(again, step);
                assertEquals(
                        step,
                        SmallRun.requireWhole(again.newest().orElseThrow()).step());
                requireNothingHidden(out);
            }
        }
    }

    private static boolean saveFails(CheckpointStore store, long step) {
        try {
            save(store, step, "second");
            return false;
        } catch (StorageException e) {
            assertTrue(e.getMessage().contains("No space left on device"), e.getMessage());
            assertFalse(e.getMessage().contains("\n"), e.getMessage());
            return true;
        }
    }

    /** Three checkpoints, of which the newest says that it is the first of its step. */
    private Path prepared(String name) throws IOException {
        Path model = directory.resolve("model");
        if (!Files.exists(model)) {
            try (CheckpointStore store = CheckpointStore.open(model, 3)) {
                for (long step : List.of(50, 60, 70)) {
                    save(store, step, "first");
                }
            }
        }
        Path out = directory.resolve(name);
        try (Stream<Path> paths = Files.walk(model)) {
            for (Path path : paths.toList()) {
                Files.copy(path, out.resolve(model.relativize(path)));
            }
        }
        return out;
    }

    private static void save(CheckpointStore store, long step, String attempt) {
        CheckpointInfo info = RUN.info(step);
        CheckpointInfo marked = CheckpointInfo.of(
                step, info.scheme(), info.ranks(), info.dtype(), info.moments(), Map.of("attempt", attempt));
        store.save(marked, SmallRun.FILES, RUN.states(step), SmallRun.PATIENCE);
    }

    private static boolean isState(Path checkpoint, long step, String attempt) {
        CheckpointInfo info = SmallRun.requireWhole(checkpoint);
        return info.step() == step && attempt.equals(info.state().get("attempt"));
    }

    /** Saves and is killed at an operation; whether it got through. */
    private static boolean saveUntil(Path out, Mortal disk, long step) {
        // Opening a folder that is in order takes no operation.
        try (CheckpointStore store = CheckpointStore.open(out, 3, disk)) {
            save(store, step, "second");
            return true;
        } catch (Killed e) {
            return false;
        }
    }

    private static boolean openUntil(Path out, int last) {
        try {
            CheckpointStore.open(out, 3, new Mortal(last)).close();
            return true;
        } catch (Killed e) {
            return false;
        }
    }

    private static void requireNothingHidden(Path out) throws IOException {
        try (Stream<Path> entries = Files.list(out)) {
            assertEquals(
                    List.of(".lock"),
                    entries.map(path -> path.getFileName().toString())
                            .filter(name -> name.startsWith("."))
                            .toList());
        }
    }
}
