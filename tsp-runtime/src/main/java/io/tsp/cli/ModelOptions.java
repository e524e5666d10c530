package io.tsp.cli;

import io.tsp.model.Presets;
import io.tsp.tensor.DType;
import java.nio.file.Path;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which model, and in which numbers it computes. */
final class ModelOptions {
    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "Model directory as Hugging Face stores it: config.json and safetensors files.")
    private @Nullable Path directory;

    @Option(
            names = "--preset",
            paramLabel = "NAME",
            completionCandidates = PresetNames.class,
            description = "A configuration with random weights instead; its tokens are bytes. One of:"
                    + " ${COMPLETION-CANDIDATES}.")
    private @Nullable String preset;

    @Option(names = "--seed", paramLabel = "N", description = "Seed of a preset's weights. Default: 0.")
    private @Nullable Long seed;

    @Option(
            names = "--dtype",
            paramLabel = "f32|bf16",
            description = "Weights and activations; sums are f32 in both. Default: ${DEFAULT-VALUE}.")
    private String dtype;

    ModelOptions() {
        this("f32");
    }

    /** @param dtype if the user names none */
    ModelOptions(String dtype) {
        this.dtype = dtype;
    }

    /** For the help text. */
    static final class PresetNames implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Presets.byName().keySet().iterator();
        }
    }

    DType dtype() {
        return dtype("--dtype", dtype);
    }

    /** What a user means by the name of a dtype. */
    static DType dtype(String option, String name) {
        return switch (name) {
            case "f32" -> DType.F32;
            case "bf16" -> DType.BF16;
            default -> throw new UsageException(option + " is f32 or bf16, not " + name);
        };
    }

    String dtypeName() {
        return dtype;
    }

    /**
     * Opens the model.
     *
     * @param otherwise preset to use if the user names none; null if one must be named
     */
    OpenModel open(@Nullable String otherwise) {
        if (directory != null) {
            if (preset != null || seed != null) {
                throw new UsageException((preset == null ? "--seed" : "--preset")
                        + " makes random weights and --model reads them; give only one of the two");
            }
            return OpenModel.of(directory);
        }
        String name = preset == null ? otherwise : preset;
        if (name == null) {
            throw new UsageException("no model is named; give --model DIR, or --preset NAME for random weights");
        }
        var config = UsageException.check(() -> Presets.of(name));
        return OpenModel.preset(name, config, seed == null ? 0 : seed);
    }

    /**
     * Opens a checkpoint instead.
     *
     * @throws UsageException if the user names another model than the checkpoint's
     */
    OpenModel resume(Path checkpoint) {
        OpenModel model = OpenModel.of(checkpoint);
        if (directory == null && preset == null) {
            return model;
        }
        try (OpenModel named = open(null)) {
            if (!named.config().equals(model.config())) {
                model.close();
                throw new UsageException(checkpoint + " is not of the model " + named.name()
                        + "; leave the model out to go on with the checkpoint's, or choose another --out");
            }
        }
        return model;
    }
}
