package io.tsp.cli;

/** What a process says when it ends, for scripts: stable numbers. */
enum ExitCode {
    OK(0, "done"),
    USAGE(2, "wrong options, or more memory asked for than there is: change the command"),
    MODEL_FILE(65, "weights, index, tokenizer, tokens or results cannot be used: get the file again"),
    MODEL_CONFIG(66, "config.json or a hardware profile cannot be used"),
    INTERNAL(70, "an error of this program: please report it"),
    PEER_LOST(71, "another rank failed or went away: start again"),
    DEADLINE(72, "something did not happen in time: see --deadline"),
    RANKS_DISAGREE(73, "ranks were started with different options or builds"),
    STORAGE(74, "a file cannot be written"),
    STOPPED(75, "stopped early as asked to, and saved: start again with --resume"),
    NUMERIC(76, "a loss or a gradient is not a finite number"),
    LIBRARY(77, "a native library is missing, of another version, or cannot do this");

    private final int code;
    private final String meaning;

    ExitCode(int code, String meaning) {
        this.code = code;
        this.meaning = meaning;
    }

    int code() {
        return code;
    }

    /** In a few words, with what to do. */
    String meaning() {
        return meaning;
    }
}
