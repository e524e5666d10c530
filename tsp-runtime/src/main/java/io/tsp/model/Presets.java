package io.tsp.model;

import io.tsp.model.RopeConfig.Llama3;
import io.tsp.model.RopeConfig.None;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/**
 * Model configurations with a name, for runs with random weights, benchmarks and planning. The tiny ones and the single
 * layers have a vocabulary of 256, the bytes: text needs no tokenizer, and what is timed is the blocks.
 */
public final class Presets {
    private static final SequencedMap<String, ModelConfig> ALL = all();

    private Presets() {}

    /** Every preset by name, smallest first; unmodifiable. */
    public static SequencedMap<String, ModelConfig> byName() {
        return ALL;
    }

    /**
     * The preset of this name.
     *
     * @throws IllegalArgumentException with the names there are
     */
    public static ModelConfig of(String name) {
        ModelConfig config = ALL.get(name);
        if (config == null) {
            throw new IllegalArgumentException(
                    "there is no preset \"" + name + "\"; the presets are " + String.join(", ", ALL.keySet()));
        }
        return config;
    }

    private record Sizes(
            int hidden,
            int intermediate,
            int layers,
            int heads,
            int kvHeads,
            int headDim,
            int vocab,
            long maxPositions) {}

    private static SequencedMap<String, ModelConfig> all() {
        SequencedMap<String, ModelConfig> presets = new LinkedHashMap<>();
        Sizes tiny = new Sizes(256, 688, 4, 8, 4, 32, 256, 4096);
        presets.put("tiny", llama(tiny, rope(10_000), false));
        presets.put("tiny-mistral", mistral(tiny, rope(10_000), 64));
        presets.put("tiny-qwen2", qwen2(tiny, rope(1_000_000), true));
        presets.put("tiny-qwen3", qwen3(tiny, rope(1_000_000), true));
        presets.put("small", llama(new Sizes(1024, 2816, 8, 16, 4, 64, 32_000, 8192), rope(500_000), false));

        presets.put("llama-layer", llama(new Sizes(2048, 5632, 1, 16, 4, 128, 256, 131_072), rope(500_000), false));
        presets.put(
                "llama-8b-layer", llama(new Sizes(4096, 14_336, 1, 32, 8, 128, 256, 131_072), rope(500_000), false));
        // tsp-7b with an eighth of its width and a fourth of its layers.
        presets.put("tsp-34m", llama(new Sizes(512, 2048, 8, 8, 8, 64, 256, 131_072), rope(10_000), false));
        presets.put("tsp-7b-layer", llama(new Sizes(4096, 16_384, 1, 32, 32, 128, 256, 131_072), rope(10_000), false));

        presets.put("llama-1b", llama(new Sizes(2048, 8192, 16, 32, 8, 64, 128_256, 131_072), llama3Rope(32), true));
        presets.put("mistral-7b", mistral(new Sizes(4096, 14_336, 32, 32, 8, 128, 32_000, 32_768), rope(10_000), 4096));
        presets.put(
                "qwen2-7b", qwen2(new Sizes(3584, 18_944, 28, 28, 4, 128, 152_064, 131_072), rope(1_000_000), false));
        presets.put("llama-8b", llama(new Sizes(4096, 14_336, 32, 32, 8, 128, 128_256, 131_072), llama3Rope(8), false));
        presets.put(
                "qwen3-8b", qwen3(new Sizes(4096, 12_288, 36, 32, 8, 128, 151_936, 40_960), rope(1_000_000), false));
        // The TSP paper's reference: 16 h^2 parameters in a block. It names no vocabulary; this is Llama 2's.
        presets.put("tsp-7b", llama(new Sizes(4096, 16_384, 32, 32, 32, 128, 32_000, 131_072), rope(10_000), false));
        presets.put(
                "llama-70b", llama(new Sizes(8192, 28_672, 80, 64, 8, 128, 128_256, 131_072), llama3Rope(8), false));
        return Collections.unmodifiableSequencedMap(presets);
    }

    private static RopeConfig rope(double theta) {
        return new RopeConfig(theta, new None());
    }

    private static RopeConfig llama3Rope(double factor) {
        return new RopeConfig(500_000, new Llama3(factor, 1, 4, 8192));
    }

    private static ModelConfig llama(Sizes sizes, RopeConfig rope, boolean tied) {
        return config("llama", sizes, 1e-5f, false, false, tied, 0, rope);
    }

    private static ModelConfig mistral(Sizes sizes, RopeConfig rope, long window) {
        return config("mistral", sizes, 1e-5f, false, false, false, window, rope);
    }

    private static ModelConfig qwen2(Sizes sizes, RopeConfig rope, boolean tied) {
        return config("qwen2", sizes, 1e-6f, true, false, tied, 0, rope);
    }

    private static ModelConfig qwen3(Sizes sizes, RopeConfig rope, boolean tied) {
        return config("qwen3", sizes, 1e-6f, false, true, tied, 0, rope);
    }

    private static ModelConfig config(
            String family,
            Sizes sizes,
            float epsilon,
            boolean qkvBias,
            boolean qkNorm,
            boolean tied,
            long window,
            RopeConfig rope) {
        return new ModelConfig(
                family,
                sizes.hidden,
                sizes.intermediate,
                sizes.layers,
                sizes.heads,
                sizes.kvHeads,
                sizes.headDim,
                sizes.vocab,
                epsilon,
                sizes.maxPositions,
                qkvBias,
                qkNorm,
                tied,
                window,
                0,
                rope);
    }
}
