package io.tsp.checkpoint.sharded;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** A process that saves one checkpoint after the other; tests trace it and kill it. */
final class SavingProcess {
    static final SmallRun RUN = SmallRun.random(new SplittableRandom(17), 3);

    private SavingProcess() {}

    /** Arguments: folder, checkpoints to keep, how many to save. */
    public static void main(String[] arguments) {
        try (CheckpointStore store = CheckpointStore.open(Path.of(arguments[0]), Integer.parseInt(arguments[1]))) {
            long step = store.newest()
                    .map(path -> StepNames.step(path).orElseThrow())
                    .orElse(0L);
            System.out.println("open");
            for (int i = 0; i < Integer.parseInt(arguments[2]); i++) {
                // Every third save is of a step that is there.
                step += i % 3 == 2 ? 0 : 1;
                RUN.save(store, step);
            }
        }
    }

    /** Starts it, behind a command such as strace where one is given. */
    static Process start(List<String> before, Path out, int keep, int saves) throws IOException {
        List<String> command = new ArrayList<>(before);
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), SavingProcess.class.getName()));
        command.addAll(List.of(out.toString(), Integer.toString(keep), Integer.toString(saves)));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }
}
