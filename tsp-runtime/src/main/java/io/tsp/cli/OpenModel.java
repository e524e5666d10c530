package io.tsp.cli;

import io.tsp.checkpoint.ConfigWriter;
import io.tsp.checkpoint.ModelDirectory;
import io.tsp.checkpoint.ModelFiles;
import io.tsp.checkpoint.sharded.Checkpoint;
import io.tsp.checkpoint.sharded.Kind;
import io.tsp.data.TextTokenizer;
import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import io.tsp.model.RandomWeights;
import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A model that weights can be read from.
 *
 * @param name what the user called it
 * @param files its directory; null for a preset
 * @param checkpoint what the weights are read from if it is a checkpoint of training
 */
record OpenModel(
        String name,
        ModelConfig config,
        WeightSource weights,
        @Nullable ModelFiles files,
        @Nullable Checkpoint checkpoint)
        implements AutoCloseable {
    private static final int MAX_FILE_BYTES = 128 << 20;

    private static final List<String> BESIDE_WEIGHTS = List.of(
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.json",
            "merges.txt",
            "tokenizer.model",
            "chat_template.jinja");

    static OpenModel of(Path directory) {
        if (Checkpoint.isCheckpoint(directory)) {
            return of(Checkpoint.open(directory), directory);
        }
        ModelDirectory model = ModelDirectory.open(directory);
        return new OpenModel(directory.toString(), model.config(), model, model.files(), null);
    }

    private static OpenModel of(Checkpoint checkpoint, Path directory) {
        return new OpenModel(
                directory.toString(),
                checkpoint.config(),
                checkpoint.source(Kind.PARAMETER),
                checkpoint.files(),
                checkpoint);
    }

    static OpenModel preset(String name, ModelConfig config, long seed) {
        return new OpenModel(name, config, new RandomWeights(config, seed), null, null);
    }

    TextTokenizer tokenizer() {
        int vocabulary = config.vocab();
        return files == null ? TextTokenizer.bytes(vocabulary) : TextTokenizer.open(files, vocabulary);
    }

    /** What a copy of the model needs beside its weights, by file name: its configuration and, if it has one, its tokenizer. */
    Map<String, byte[]> filesBesideWeights() {
        if (files == null) {
            return Map.of(ConfigWriter.NAME, ConfigWriter.write(config, DType.F32));
        }
        Map<String, byte[]> found = new TreeMap<>();
        for (String name : BESIDE_WEIGHTS) {
            files.read(name, MAX_FILE_BYTES, ModelException.Part.FILE).ifPresent(bytes -> found.put(name, bytes));
        }
        return found;
    }

    int[] encode(String text) {
        try (TextTokenizer tokenizer = tokenizer()) {
            return tokenizer.encode(text);
        }
    }

    @Override
    public void close() {
        weights.close();
        if (checkpoint != null) {
            checkpoint.close();
        }
    }
}
