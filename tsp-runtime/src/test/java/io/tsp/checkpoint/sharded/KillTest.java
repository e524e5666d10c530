package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a run that was killed has lost its checkpoints. */
class KillTest {
    private static final int SIGKILLED = 128 + 9;
    private static final int MAX_MILLIS = 250;

    @TempDir
    Path out;

    @Test
    void aRunSurvivesFiveKills() throws Exception {
        survive(5);
    }

    @Test
    @Tag("long")
    void aRunSurvivesThreeHundredKills() throws Exception {
        survive(300);
    }

    /** One run, killed again and again; each time it goes on from what it finds. */
    private void survive(int kills) throws Exception {
        long seed = new SplittableRandom().nextLong();
        SplittableRandom random = new SplittableRandom(seed);
        try (CheckpointStore store = CheckpointStore.open(out, 2)) {
            SavingProcess.RUN.save(store, 1);
            SavingProcess.RUN.save(store, 2);
        }
        long newest = 2;
        for (int kill = 0; kill < kills; kill++) {
            Process process = SavingProcess.start(List.of(), out, 2, Integer.MAX_VALUE);
            assertEquals('o', process.getInputStream().read(), "it could not open the folder");
            TimeUnit.MILLISECONDS.sleep(random.nextInt(MAX_MILLIS));
            process.destroyForcibly();
            assertEquals(SIGKILLED, process.waitFor());
            newest = requireWhole(newest, "seed " + seed + ", kill " + kill);
        }
        // On a busy machine a few short-lived processes may save nothing.
        assertTrue(newest >= 2 + kills / 20, "only " + newest + " steps were saved, seed " + seed);
    }

    /** Opens the folder as the next run does; every checkpoint there is whole, and the newest no older than before. */
    private long requireWhole(long before, String where) {
        try (CheckpointStore store = CheckpointStore.open(out, 2)) {
            List<Path> all = store.all();
            long newest = 0;
            for (Path checkpoint : all) {
                newest = SmallRun.requireWhole(checkpoint).step();
            }
            assertTrue(newest >= before && (before < 2 || all.size() >= 2), where + " left " + all);
            return newest;
        }
    }
}
