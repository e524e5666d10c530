package io.tsp.checkpoint.sharded;

import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Names of directories and files of checkpoints. */
final class StepNames {
    static final long MAX_STEP = 999_999_999_999_999_999L;
    static final String LOCK = ".lock";

    /** Being written. */
    static final String TEMPORARY = ".tmp";
    /** Whole, but another checkpoint of its step is about to take its place. */
    static final String REPLACED = ".replaced";
    /** Being deleted, perhaps no longer whole. */
    static final String OLD = ".old";

    private static final Pattern COMMITTED = Pattern.compile("step-([0-9]{6,18})");
    private static final Pattern LEFTOVER = Pattern.compile("\\.(step-[0-9]{6,18})(\\.tmp|\\.replaced|\\.old)");

    private static final Pattern RANK_FILE = Pattern.compile("rank-([0-9]{5})\\.safetensors");

    private StepNames() {}

    static String committed(long step) {
        return String.format("step-%06d", step);
    }

    /** The hidden name that a step's directory has in a state. */
    static String hidden(String committed, String state) {
        return "." + committed + state;
    }

    /** The step that a directory is of, if it has the name of a committed checkpoint. */
    static OptionalLong step(Path directory) {
        String name = directory.getFileName().toString();
        Matcher matcher = COMMITTED.matcher(name);
        if (!matcher.matches()) {
            return OptionalLong.empty();
        }
        long step = Long.parseLong(matcher.group(1));
        return committed(step).equals(name) ? OptionalLong.of(step) : OptionalLong.empty();
    }

    /** Whether a directory is hidden in a state. */
    static boolean isLeftover(Path path, String state) {
        Matcher matcher = LEFTOVER.matcher(path.getFileName().toString());
        return matcher.matches() && matcher.group(2).equals(state);
    }

    /** The committed name of what is hidden. */
    static String shown(Path leftover) {
        Matcher matcher = LEFTOVER.matcher(leftover.getFileName().toString());
        if (!matcher.matches()) {
            throw new IllegalArgumentException(leftover + " is not hidden");
        }
        return matcher.group(1);
    }

    static String rankFile(int rank) {
        return String.format("rank-%05d.safetensors", rank);
    }

    /** The rank whose file has this name, if it is a rank's. */
    static OptionalInt rank(String name) {
        Matcher matcher = RANK_FILE.matcher(name);
        return matcher.matches() ? OptionalInt.of(Integer.parseInt(matcher.group(1))) : OptionalInt.empty();
    }

    /** What a process leaves for the one with rank 0 when a rank's file is written. */
    static String sidecar(int rank) {
        return String.format("rank-%05d.json", rank);
    }
}
