package io.tsp.checkpoint;

import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Reads {@code config.json} as transformers 4 and 5 write it for Llama, Mistral, Qwen2 and Qwen3, with the defaults of
 * transformers 5.18 for what a family leaves out. What this runtime does not compute is refused, never ignored; fields
 * that have no influence on the result ({@code auto_map}, {@code architectures}, ...) are.
 */
public final class ConfigReader {
    public static final String NAME = "config.json";
    static final int MAX_BYTES = 1 << 20;

    /** Far beyond every published model, and small enough that no product of two sizes overflows. */
    private static final int MAX_HIDDEN = 1 << 18;

    private static final int MAX_INTERMEDIATE = 1 << 20;
    private static final int MAX_LAYERS = 4096;
    private static final int MAX_HEADS = 4096;
    private static final int MAX_HEAD_DIM = 256;
    private static final int HEAD_DIM_MULTIPLE = 8;
    private static final int MAX_VOCAB = 1 << 23;
    private static final long MAX_POSITIONS = Integer.MAX_VALUE;

    private static final String SLIDING = "sliding_attention";
    private static final String FULL = "full_attention";

    /** A {@code model_type} and what its configuration class has as defaults. */
    private enum Family {
        LLAMA(0, 2048, 0),
        MISTRAL(8, 131_072, 0),
        QWEN2(32, 32_768, 0),
        QWEN3(32, 32_768, 128);

        /** 0: as many as there are query heads. */
        final int defaultKvHeads;

        final long defaultMaxPositions;
        /** 0: hidden size over heads. */
        final int defaultHeadDim;

        Family(int defaultKvHeads, long defaultMaxPositions, int defaultHeadDim) {
            this.defaultKvHeads = defaultKvHeads;
            this.defaultMaxPositions = defaultMaxPositions;
            this.defaultHeadDim = defaultHeadDim;
        }
    }

    private record Windows(long tokens, int fromLayer) {
        static final Windows NONE = new Windows(0, 0);
    }

    private final ConfigFields fields;
    private final Family family;

    private ConfigReader(ConfigFields fields) {
        this.fields = fields;
        this.family = family(fields);
    }

    /**
     * The configuration in these bytes.
     *
     * @param file as it is named in messages
     * @throws ModelException (CONFIG) naming field, value and what is allowed
     */
    public static ModelConfig read(String file, byte[] bytes) {
        return new ConfigReader(ConfigFields.parse(file, bytes)).read();
    }

    private ModelConfig read() {
        requireSupported();
        int hidden = fields.integer("hidden_size", 1, MAX_HIDDEN);
        int layers = fields.integer("num_hidden_layers", 1, MAX_LAYERS);
        int heads = fields.integer("num_attention_heads", 1, MAX_HEADS);
        int kvHeads = kvHeads(heads);
        int headDim = headDim(hidden, heads);
        long maxPositions = fields.whole("max_position_embeddings", 1, MAX_POSITIONS, family.defaultMaxPositions);
        Windows windows = windows(layers);
        return new ModelConfig(
                fields.text("model_type", "a family"),
                hidden,
                fields.integer("intermediate_size", 1, MAX_INTERMEDIATE),
                layers,
                heads,
                kvHeads,
                headDim,
                fields.integer("vocab_size", 1, MAX_VOCAB),
                (float) fields.number("rms_norm_eps", 1e-12, 1, 1e-6),
                maxPositions,
                family == Family.QWEN2,
                family == Family.QWEN3,
                fields.flag("tie_word_embeddings", false),
                windows.tokens,
                windows.fromLayer,
                new RopeReader(fields, maxPositions).read());
    }

    private static Family family(ConfigFields fields) {
        String allowed = "llama, mistral, qwen2 or qwen3";
        return switch (fields.text("model_type", allowed)) {
            case "llama" -> Family.LLAMA;
            case "mistral" -> Family.MISTRAL;
            case "qwen2" -> Family.QWEN2;
            case "qwen3" -> Family.QWEN3;
            default -> throw fields.bad("model_type", allowed);
        };
    }

    private void requireSupported() {
        // "swish" is transformers' other name for the same function.
        String activation = fields.text("hidden_act", "silu", "silu");
        if (!activation.equals("silu") && !activation.equals("swish")) {
            throw fields.bad("hidden_act", "silu");
        }
        // Qwen2 always has biases on q, k and v and never on o; it does not read the field.
        if (family != Family.QWEN2 && fields.flag("attention_bias", false)) {
            throw fields.bad("attention_bias", "false (a bias on the output projection is not computed)");
        }
        if (fields.flag("mlp_bias", false)) {
            throw fields.bad("mlp_bias", "false (biases in the MLP are not computed)");
        }
        for (String field : List.of("quantization_config", "compression_config")) {
            if (fields.has(field)) {
                throw fields.bad(
                        field, "no such field: weights are F32, F16 or BF16, convert the model to one of them");
            }
        }
    }

    private int kvHeads(int heads) {
        int absent = family.defaultKvHeads == 0 ? heads : family.defaultKvHeads;
        int kvHeads = fields.integer("num_key_value_heads", 1, MAX_HEADS, absent);
        if (heads % kvHeads != 0) {
            throw fields.bad(
                    "num_key_value_heads",
                    "a divisor of num_attention_heads, " + heads + " (the default here is " + absent + ")");
        }
        return kvHeads;
    }

    private int headDim(int hidden, int heads) {
        String allowed = "a multiple of " + HEAD_DIM_MULTIPLE + " up to " + MAX_HEAD_DIM;
        boolean derived = !fields.has("head_dim") && family.defaultHeadDim == 0;
        if (derived && hidden % heads != 0) {
            throw fields.bad("hidden_size", "a multiple of num_attention_heads, " + heads + ", or give head_dim");
        }
        int headDim = derived
                ? hidden / heads
                : fields.integer("head_dim", HEAD_DIM_MULTIPLE, MAX_HEAD_DIM, family.defaultHeadDim);
        if (headDim % HEAD_DIM_MULTIPLE != 0 || headDim > MAX_HEAD_DIM) {
            String source = derived ? " (hidden_size / num_attention_heads = " + headDim + ")" : "";
            throw fields.bad("head_dim", allowed + source);
        }
        return headDim;
    }

    private Windows windows(int layers) {
        return switch (family) {
            case LLAMA -> Windows.NONE;
            case MISTRAL -> mistralWindows(layers);
            case QWEN2, QWEN3 -> qwenWindows(layers);
        };
    }

    /** A window for all layers: 4096 if the field is absent, none if it is null. */
    private Windows mistralWindows(int layers) {
        long window = fields.isNull("sliding_window") ? 0 : fields.whole("sliding_window", 1, MAX_POSITIONS, 4096);
        String only = window > 0 ? SLIDING : FULL;
        List<String> types = layerTypes(layers, Collections.nCopies(layers, only));
        if (!types.stream().allMatch(only::equals)) {
            throw fields.bad("layer_types", only + " for every layer, as sliding_window says");
        }
        return new Windows(window, 0);
    }

    /** A window for the layers from max_window_layers on, and only if use_sliding_window is true. */
    private Windows qwenWindows(int layers) {
        boolean windowed = fields.flag("use_sliding_window", false) && !fields.isNull("sliding_window");
        long window = windowed ? fields.whole("sliding_window", 1, MAX_POSITIONS, 4096) : 0;
        int first = windowed ? fields.integer("max_window_layers", 0, Integer.MAX_VALUE, 28) : layers;
        List<String> types = layerTypes(layers, pattern(layers, Math.min(first, layers)));
        int full = types.indexOf(SLIDING) < 0 ? layers : types.indexOf(SLIDING);
        if (!types.equals(pattern(layers, full)) || (full < layers && !windowed)) {
            throw fields.bad(
                    "layer_types",
                    FULL + " up to some layer and " + SLIDING
                            + " from there on, the latter with use_sliding_window true" + " and a sliding_window");
        }
        return full == layers ? Windows.NONE : new Windows(window, full);
    }

    private static List<String> pattern(int layers, int full) {
        List<String> types = new ArrayList<>(Collections.nCopies(full, FULL));
        types.addAll(Collections.nCopies(layers - full, SLIDING));
        return types;
    }

    private List<String> layerTypes(int layers, List<String> absent) {
        String allowed = "a list of " + layers + " times " + FULL + " or " + SLIDING;
        List<String> types = fields.texts("layer_types", allowed).orElse(absent);
        if (types.size() != layers || !types.stream().allMatch(type -> type.equals(FULL) || type.equals(SLIDING))) {
            throw fields.bad("layer_types", allowed);
        }
        return types;
    }
}
