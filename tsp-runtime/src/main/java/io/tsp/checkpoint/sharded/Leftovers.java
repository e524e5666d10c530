package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.Disk;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Removes directories so that none under its own name is ever half there: a deletion that is interrupted would
 * otherwise leave what looks like a checkpoint.
 */
final class Leftovers {
    private Leftovers() {}

    /** Takes a checkpoint's name away for good, then deletes it. */
    static void remove(Disk disk, Path directory, String committed) throws IOException {
        Path old = directory.resolveSibling(StepNames.hidden(committed, StepNames.OLD));
        disk.deleteTree(old);
        disk.move(directory, old);
        disk.forceDirectory(directory.resolveSibling("."));
        disk.deleteTree(old);
    }

    /** Puts back what was about to be replaced and was not, and deletes the rest. */
    static void sweep(Disk disk, Path out) throws IOException {
        for (Path replaced : hidden(out, StepNames.REPLACED)) {
            String name = StepNames.shown(replaced);
            Path committed = out.resolve(name);
            if (Files.exists(committed, LinkOption.NOFOLLOW_LINKS)) {
                remove(disk, replaced, name);
            } else {
                disk.move(replaced, committed);
                disk.forceDirectory(out);
            }
        }
        for (String state : List.of(StepNames.TEMPORARY, StepNames.OLD)) {
            for (Path path : hidden(out, state)) {
                disk.deleteTree(path);
            }
        }
    }

    private static List<Path> hidden(Path out, String state) throws IOException {
        try (Stream<Path> entries = Files.list(out)) {
            return entries.filter(entry -> StepNames.isLeftover(entry, state)).toList();
        }
    }
}
