package io.tsp.cli;

import io.tsp.data.TextTokenizer;
import io.tsp.train.TrainingSettings.Sample;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** A short text that shows what a model in training has learned. */
final class SampleOptions {
    @Option(
            names = "--sample-every",
            paramLabel = "N",
            description =
                    "Continue a short text greedily every N steps; a forward pass for each token. Ranks must live in this"
                            + " process. Default: never.")
    private long every;

    @Option(names = "--sample-prompt", paramLabel = "TEXT", description = "The text. Default: \"The \".")
    private String prompt = "The ";

    @Option(names = "--sample-tokens", paramLabel = "N", description = "Tokens to add. Default: 32.")
    private int tokens = 32;

    /** Null if none is wanted. */
    @Nullable
    Sample sample(TextTokenizer tokenizer) {
        if (every < 0) {
            throw new UsageException("--sample-every must be 0 or more, not " + every);
        }
        if (every == 0) {
            return null;
        }
        UsageException.positive("--sample-tokens", tokens);
        int[] ids = tokenizer.encode(prompt);
        if (ids.length == 0) {
            throw new UsageException("--sample-prompt has no tokens; give a longer text");
        }
        return new Sample(ids, tokens, every);
    }

    boolean isWanted() {
        return every != 0;
    }
}
