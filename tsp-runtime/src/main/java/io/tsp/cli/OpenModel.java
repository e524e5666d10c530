package io.tsp.cli;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.checkpoint.ModelFiles;
import io.tsp.data.TextTokenizer;
import io.tsp.model.ModelConfig;
import io.tsp.model.WeightSource;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A model that weights can be read from.
 *
 * @param name what the user called it
 * @param files its directory; null for a preset
 */
record OpenModel(
        String name,
        ModelConfig config,
        WeightSource weights,
        @Nullable ModelFiles files) implements AutoCloseable {

    static OpenModel of(Path directory) {
        ModelDirectory model = ModelDirectory.open(directory);
        return new OpenModel(directory.toString(), model.config(), model, model.files());
    }

    int[] encode(String text) {
        int vocabulary = config.vocab();
        try (TextTokenizer tokenizer =
                files == null ? TextTokenizer.bytes(vocabulary) : TextTokenizer.open(files, vocabulary)) {
            return tokenizer.encode(text);
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
