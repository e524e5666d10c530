package io.tsp.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.model.ModelConfig;
import io.tsp.model.RopeConfig;
import io.tsp.model.RopeConfig.Dynamic;
import io.tsp.model.RopeConfig.Linear;
import io.tsp.model.RopeConfig.Llama3;
import io.tsp.model.RopeConfig.None;
import io.tsp.model.RopeConfig.Yarn;
import io.tsp.tensor.DType;
import java.io.IOException;
import java.util.Locale;
import java.util.Set;

/**
 * Writes {@code config.json}. Rotary settings are written as transformers 4 names them, {@code rope_theta} and
 * {@code rope_scaling}, which 5 understands, too.
 */
public final class ConfigWriter {
    /** The name of the file. */
    public static final String NAME = ConfigReader.NAME;

    private static final String DTYPE = "torch_dtype";
    /** Under either name the dtype of the weights. */
    private static final Set<String> DTYPES = Set.of(DTYPE, "dtype");

    private ConfigWriter() {}

    /**
     * The content of a config.json that {@link ConfigReader} reads as an equal configuration.
     *
     * @param weights F32 or BF16: the dtype of the weights beside it
     */
    public static byte[] write(ModelConfig config, DType weights) {
        byte[] bytes = JsonDocument.of(json -> {
            writeFamily(json, config);
            json.writeStringField(DTYPE, name(weights));
            json.writeStringField("hidden_act", "silu");
            json.writeNumberField("hidden_size", config.hidden());
            json.writeNumberField("intermediate_size", config.intermediate());
            json.writeNumberField("num_hidden_layers", config.layers());
            json.writeNumberField("num_attention_heads", config.heads());
            json.writeNumberField("num_key_value_heads", config.kvHeads());
            json.writeNumberField("head_dim", config.headDim());
            json.writeNumberField("vocab_size", config.vocab());
            json.writeNumberField("rms_norm_eps", config.normEpsilon());
            json.writeNumberField("max_position_embeddings", config.maxPositions());
            json.writeBooleanField("tie_word_embeddings", config.tiedEmbeddings());
            writeWindow(json, config);
            writeRope(json, config.rope());
        });
        if (!ConfigReader.read(ConfigReader.NAME, bytes).equals(config)) {
            throw new IllegalArgumentException("no config.json of family " + config.family() + " says " + config);
        }
        return bytes;
    }

    /** A config.json as it is but for the dtype of the weights beside it. */
    static byte[] withDtype(byte[] original, DType weights) {
        return JsonDocument.of(json -> {
            json.writeStringField(DTYPE, name(weights));
            try (JsonParser parser = new JsonFactory().createParser(original)) {
                parser.nextToken();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    if (DTYPES.contains(parser.currentName())) {
                        parser.nextToken();
                        parser.skipChildren();
                    } else {
                        json.copyCurrentStructure(parser);
                    }
                }
            }
        });
    }

    private static String name(DType weights) {
        return switch (weights) {
            case F32 -> "float32";
            case BF16 -> "bfloat16";
            default -> throw new IllegalArgumentException("weights are written as F32 or BF16, not as " + weights);
        };
    }

    private static void writeFamily(JsonGenerator json, ModelConfig config) throws IOException {
        String prefix = config.family().substring(0, 1).toUpperCase(Locale.ROOT)
                + config.family().substring(1);
        json.writeArrayFieldStart("architectures");
        json.writeString(prefix + "ForCausalLM");
        json.writeEndArray();
        json.writeStringField("model_type", config.family());
        if (!config.qkvBias()) {
            json.writeBooleanField("attention_bias", false);
        }
    }

    private static void writeWindow(JsonGenerator json, ModelConfig config) throws IOException {
        boolean windowed = config.window() > 0;
        boolean qwen = config.family().startsWith("qwen");
        if (qwen) {
            json.writeBooleanField("use_sliding_window", windowed);
            json.writeNumberField("max_window_layers", windowed ? config.windowFromLayer() : config.layers());
        }
        if (windowed) {
            json.writeNumberField("sliding_window", config.window());
        } else if (qwen || config.family().equals("mistral")) {
            json.writeNullField("sliding_window");
        }
    }

    private static void writeRope(JsonGenerator json, RopeConfig rope) throws IOException {
        json.writeNumberField("rope_theta", rope.theta());
        if (rope.scaling() instanceof None) {
            return;
        }
        json.writeObjectFieldStart("rope_scaling");
        switch (rope.scaling()) {
            case None() -> throw new IllegalStateException("was passed over");
            case Linear(double factor) -> writeKind(json, "linear", factor);
            case Dynamic(double factor, long ignored) -> writeKind(json, "dynamic", factor);
            case Llama3 llama3 -> {
                writeKind(json, "llama3", llama3.factor());
                json.writeNumberField("low_freq_factor", llama3.lowFrequencyFactor());
                json.writeNumberField("high_freq_factor", llama3.highFrequencyFactor());
                json.writeNumberField("original_max_position_embeddings", llama3.originalMaxPositions());
            }
            case Yarn yarn -> {
                writeKind(json, "yarn", yarn.factor());
                json.writeNumberField("attention_factor", yarn.attentionFactor());
                json.writeNumberField("beta_fast", yarn.betaFast());
                json.writeNumberField("beta_slow", yarn.betaSlow());
                json.writeNumberField("original_max_position_embeddings", yarn.originalMaxPositions());
                json.writeBooleanField("truncate", yarn.truncate());
            }
        }
        json.writeEndObject();
    }

    private static void writeKind(JsonGenerator json, String kind, double factor) throws IOException {
        json.writeStringField("rope_type", kind);
        json.writeNumberField("factor", factor);
    }
}
