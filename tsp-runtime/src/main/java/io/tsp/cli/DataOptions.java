package io.tsp.cli;

import io.tsp.data.TextTokenizer;
import io.tsp.data.TokenStore;
import io.tsp.data.TrainingData;
import io.tsp.model.ModelConfig;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which text to train on, and how much of it at a time. */
final class DataOptions {
    private static final int MAX_DEFAULT_SEQ = 512;
    private static final int MAX_TOKENS = 1 << 30;

    @Option(
            names = "--data",
            arity = "1..*",
            paramLabel = "FILE",
            description =
                    "Required. UTF-8 text files, each a document; the model's tokenizer.json cuts them, or their bytes are the"
                            + " tokens if there is none.")
    private List<Path> files = List.of();

    @Option(
            names = "--seq",
            paramLabel = "S",
            description = "Tokens of a sequence. Default: 512, or less if the model was made for less.")
    private @Nullable Integer seq;

    @Option(
            names = "--batch",
            paramLabel = "B",
            description = "Sequences of a microbatch, over all data-parallel copies. Default: 8.")
    private int batch = 8;

    @Option(names = "--accumulate", paramLabel = "N", description = "Microbatches of a step. Default: 1.")
    private int accumulate = 1;

    @Option(
            names = "--data-seed",
            paramLabel = "N",
            description = "Seed of the order of sequences, another in each epoch. Default: 0.")
    private long seed;

    @Option(
            names = "--eval-share",
            paramLabel = "X",
            description = "Share of the sequences, the last ones, that is held out for evaluation. Default: 0.05.")
    private double evaluationShare = 0.05;

    /** Refuses to go on without text. */
    void requireFiles() {
        if (files.isEmpty()) {
            throw new UsageException("there is nothing to train on; give --data FILE...");
        }
    }

    int batch() {
        return batch;
    }

    int accumulate() {
        return accumulate;
    }

    long seed() {
        return seed;
    }

    int seq(ModelConfig config) {
        return seq == null ? (int) Math.min(MAX_DEFAULT_SEQ, config.maxPositions()) : seq;
    }

    void requireSizes(ModelConfig config) {
        UsageException.positive("--batch", batch);
        UsageException.positive("--seq", seq(config));
        UsageException.positive("--accumulate", accumulate);
        if (!(evaluationShare >= 0 && evaluationShare < 1)) {
            throw new UsageException("--eval-share must be from 0 to below 1, not " + evaluationShare);
        }
        if ((long) batch * seq(config) * accumulate > MAX_TOKENS) {
            throw new UsageException("--batch " + batch + " times --seq " + seq(config) + " times --accumulate "
                    + accumulate + " are more than 2^30 tokens; ask for less");
        }
    }

    /** The tokens of all files, made once in a folder and read from there. */
    TokenStore store(Terminal terminal, TextTokenizer tokenizer, Path folder) {
        try (Progress progress = Progress.ofBytes(terminal, "read text", bytes())) {
            return TokenStore.open(folder, files, tokenizer, progress::add);
        }
    }

    /** For the progress bar: a file that cannot be read is refused by who reads it. */
    private long bytes() {
        return files.stream().mapToLong(file -> file.toFile().length()).sum();
    }

    TrainingData data(TokenStore store, ModelConfig config) {
        return UsageException.check(() -> TrainingData.of(store, seq(config), seed, evaluationShare));
    }
}
