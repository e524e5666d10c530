package io.tsp.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a model is computed with a configuration that it does not have, or one that cannot be. */
class MalformedConfigTest {
    private static final String FILE = "/models/x/config.json";
    private static final String GOOD = SmallModel.CONFIG.strip();
    private static final String QWEN =
            GOOD.replace("llama", "qwen2").replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 4");

    /** @param field what the message must name beside the file */
    record Case(String name, String json, String field) {
        @Override
        public String toString() {
            return name;
        }
    }

    @ParameterizedTest
    @MethodSource({"sizes", "families", "refusedFeatures", "windows", "rope"})
    void isRefusedWithFileAndField(Case malformed) {
        String message = refusal(malformed.json);
        assertTrue(message.startsWith(FILE + ": " + malformed.field + " is "), message);
        assertTrue(message.contains("; allowed is "), message);
    }

    @ParameterizedTest
    @MethodSource("syntax")
    void isRefusedWithFileAndByte(Case malformed) {
        String message = refusal(malformed.json);
        assertTrue(message.startsWith(FILE + ", byte "), message);
        assertTrue(message.contains(malformed.field), message);
    }

    @Test
    void atLeastAHundredCases() {
        long count = Stream.of(sizes(), families(), refusedFeatures(), windows(), rope(), syntax())
                .mapToLong(Stream::count)
                .sum();
        assertTrue(count >= 150, "only " + count);
        ConfigReader.read(FILE, GOOD.getBytes(UTF_8));
        ConfigReader.read(FILE, QWEN.getBytes(UTF_8));
    }

    private static String refusal(String json) {
        ModelException refusal = Refusal.of(() -> ConfigReader.read(FILE, json.getBytes(UTF_8)));
        assertEquals(ModelException.Part.CONFIG, refusal.part());
        return refusal.getMessage();
    }

    static Stream<Case> sizes() {
        List<Case> cases = new ArrayList<>();
        List<String> fields = List.of(
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
                "num_key_value_heads",
                "vocab_size",
                "max_position_embeddings");
        for (String field : fields) {
            for (String value : List.of(
                    "0",
                    "-1",
                    "16.0",
                    "1e3",
                    "\"16\"",
                    "true",
                    "[16]",
                    "{}",
                    "2147483648",
                    "9223372036854775808",
                    "9".repeat(50))) {
                cases.add(with(GOOD, field, value));
            }
        }
        for (String field :
                List.of("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")) {
            cases.add(new Case(field + " absent", GOOD.replace("\"" + field + "\"", "\"x\""), field));
            cases.add(with(GOOD, field, "null"));
        }
        cases.add(with(GOOD, "hidden_size", "17"));
        cases.add(with(GOOD, "hidden_size", "262145"));
        cases.add(with(GOOD, "num_hidden_layers", "4097"));
        cases.add(with(GOOD, "num_key_value_heads", "3"));
        cases.add(with(GOOD, "num_key_value_heads", "4"));
        for (String value : List.of("0", "4", "12", "257", "264", "-8", "8.0", "\"8\"")) {
            cases.add(added(GOOD, "head_dim", value));
        }
        cases.add(new Case(
                "derived head_dim 12", GOOD.replace("\"hidden_size\": 16", "\"hidden_size\": 24"), "head_dim"));
        for (String value : List.of("0", "-1e-5", "2", "\"1e-5\"", "1e400", "true")) {
            cases.add(with(GOOD, "rms_norm_eps", value));
        }
        return cases.stream();
    }

    static Stream<Case> families() {
        List<Case> cases = new ArrayList<>();
        for (String value : List.of(
                "\"gpt2\"",
                "\"Llama\"",
                "\"llama4\"",
                "\"mixtral\"",
                "\"qwen2_moe\"",
                "\"qwen3_moe\"",
                "\"phi3\"",
                "\"\"",
                "1",
                "null",
                "[\"llama\"]",
                "\"" + "x".repeat(10_000) + "\"",
                "\"a\\u001b[2J\"")) {
            cases.add(with(GOOD, "model_type", value));
        }
        cases.add(new Case("no model_type", "{}", "model_type"));
        return cases.stream();
    }

    static Stream<Case> refusedFeatures() {
        return Stream.of(
                with(GOOD, "hidden_act", "\"gelu\""),
                with(GOOD, "hidden_act", "\"relu\""),
                with(GOOD, "hidden_act", "1"),
                added(GOOD, "attention_bias", "true"),
                added(GOOD.replace("llama", "qwen3"), "attention_bias", "true"),
                added(GOOD, "attention_bias", "1"),
                added(GOOD, "attention_bias", "\"false\""),
                added(GOOD, "mlp_bias", "true"),
                added(GOOD, "mlp_bias", "0"),
                added(GOOD, "quantization_config", "{\"quant_method\": \"gptq\"}"),
                added(GOOD, "compression_config", "{}"),
                added(GOOD, "partial_rotary_factor", "0.5"),
                added(GOOD, "partial_rotary_factor", "\"1\""),
                with(GOOD, "tie_word_embeddings", "\"yes\""),
                with(GOOD, "tie_word_embeddings", "1"));
    }

    static Stream<Case> windows() {
        String mistral = GOOD.replace("llama", "mistral");
        String windowed = append(QWEN, "\"use_sliding_window\": true, \"sliding_window\": 32");
        String full = "\"full_attention\"";
        String sliding = "\"sliding_attention\"";
        return Stream.of(
                added(mistral, "sliding_window", "0"),
                added(mistral, "sliding_window", "-1"),
                added(mistral, "sliding_window", "\"4096\""),
                added(mistral, "sliding_window", "4096.5"),
                added(append(mistral, "\"sliding_window\": 8"), "layer_types", "[" + full + "]"),
                added(append(mistral, "\"sliding_window\": null"), "layer_types", "[" + sliding + "]"),
                added(append(QWEN, "\"use_sliding_window\": true"), "sliding_window", "0"),
                added(QWEN, "use_sliding_window", "1"),
                added(windowed, "max_window_layers", "-1"),
                added(windowed, "max_window_layers", "\"2\""),
                added(windowed, "layer_types", "[" + full + "]"),
                added(windowed, "layer_types", "[]"),
                added(windowed, "layer_types", full),
                added(windowed, "layer_types", "[1,2,3,4]"),
                added(windowed, "layer_types", list(full, full, full, "\"chunked_attention\"")),
                added(windowed, "layer_types", list(full, full, full, full, full)),
                added(windowed, "layer_types", list(sliding, full, sliding, full)),
                added(windowed, "layer_types", list(sliding, sliding, full, full)),
                added(QWEN, "layer_types", list(full, full, sliding, sliding)));
    }

    static Stream<Case> rope() {
        String llama3 = "\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4";
        List<Case> cases = new ArrayList<>();
        for (String value : List.of("0", "1", "-10000", "\"10000\"", "null1", "true", "1e20", "1e400", "[]")) {
            if (!value.equals("null1")) {
                cases.add(with(GOOD, "rope_theta", value));
            }
        }
        for (String kind :
                List.of("\"longrope\"", "\"su\"", "\"mrope\"", "\"proportional\"", "\"YARN\"", "\"\"", "1", "[]")) {
            cases.add(scaling("\"rope_type\": " + kind + ", \"factor\": 2", "rope_type"));
            cases.add(scaling("\"type\": " + kind + ", \"factor\": 2", "type"));
        }
        for (String factor : List.of("0", "-2", "0.5", "\"2\"", "null", "1e7", "true")) {
            cases.add(scaling("\"rope_type\": \"linear\", \"factor\": " + factor, "factor"));
        }
        for (String kind : List.of("linear", "dynamic")) {
            cases.add(scaling("\"type\": \"" + kind + "\"", "factor"));
        }
        cases.add(scaling(llama3.replace("\"low_freq_factor\": 1, ", ""), "low_freq_factor"));
        cases.add(scaling(llama3.replace("_freq_factor\": 4", "_x\": 4"), "high_freq_factor"));
        cases.add(scaling(llama3.replace("\"factor\": 8, ", ""), "factor"));
        cases.add(scaling(llama3.replace("_factor\": 4", "_factor\": 1"), "high_freq_factor"));
        cases.add(scaling(llama3 + ", \"original_max_position_embeddings\": 0", "original_max_position_embeddings"));
        cases.add(scaling(llama3 + ", \"original_max_position_embeddings\": 8.5", "original_max_position_embeddings"));
        for (String field : List.of("beta_fast", "beta_slow", "mscale", "mscale_all_dim")) {
            cases.add(scaling("\"type\": \"yarn\", \"factor\": 2, \"" + field + "\": -1", field));
            cases.add(scaling("\"type\": \"yarn\", \"factor\": 2, \"" + field + "\": \"1\"", field));
        }
        cases.add(scaling("\"type\": \"yarn\", \"factor\": 2, \"attention_factor\": 0", "attention_factor"));
        cases.add(scaling("\"type\": \"yarn\", \"factor\": 2, \"truncate\": 1", "truncate"));
        cases.add(scaling("\"rope_theta\": 0", "rope_theta"));
        cases.add(scaling("\"partial_rotary_factor\": 0.25", "partial_rotary_factor"));
        cases.add(added(GOOD, "rope_scaling", "1"));
        cases.add(added(GOOD, "rope_scaling", "[]"));
        cases.add(added(GOOD, "rope_parameters", "\"default\""));
        cases.add(added(GOOD, "rope_parameters", "{\"full_attention\": {\"rope_theta\": 1e6}}"));
        return cases.stream();
    }

    static Stream<Case> syntax() {
        return Stream.of(
                new Case("empty", "", "ends early"),
                new Case("a list", "[]", "configuration's object"),
                new Case("a string", "\"llama\"", "configuration's object"),
                new Case("not JSON", "model_type: llama", "JSON"),
                new Case("unclosed", GOOD.substring(0, GOOD.length() - 1), "JSON"),
                new Case("text behind", GOOD + "x", "white space"),
                new Case("a second document", GOOD + "{}", "white space"),
                new Case("a byte order mark", "\ufeff" + GOOD, "byte order mark"),
                new Case("NaN", GOOD.replace("1e-05", "NaN"), "JSON"),
                new Case("Infinity", GOOD.replace("1e-05", "Infinity"), "JSON"),
                new Case("a number with 10,000 digits", GOOD.replace("1e-05", "1" + "0".repeat(10_000)), "JSON"),
                new Case("a control character", GOOD.replace("silu", "si\u0001lu"), "control character"),
                new Case("half a surrogate pair", GOOD.replace("silu", "\\ud83d"), "surrogate"),
                new Case("nesting of 100,000", "{\"x\":" + "[".repeat(100_000), "JSON"),
                new Case("nesting of objects", "{\"x\":".repeat(100_000), "JSON"),
                new Case("a field twice", append(GOOD, "\"hidden_size\": 16"), "\"hidden_size\" comes twice"),
                new Case("a field twice, escaped", append(GOOD, "\"hidden\\u005fsize\": 16"), "comes twice"),
                new Case("a null field twice", append(GOOD, "\"x\": null, \"x\": null"), "comes twice"),
                new Case("a nested field twice", append(GOOD, "\"x\": {\"y\": 1, \"y\": 2}"), "comes twice"),
                new Case("a field name of 1,000 characters", append(GOOD, "\"" + "x".repeat(1000) + "\": 1"), "JSON"),
                new Case(
                        "a string of 100,000 characters",
                        append(GOOD, "\"x\": \"" + "x".repeat(100_000) + "\""),
                        "JSON"),
                new Case("200,000 values", append(GOOD, "\"x\": [" + "1,".repeat(200_000) + "1]"), "100000 values"));
    }

    /** The configuration with another value for a field that it has. */
    private static Case with(String json, String field, String value) {
        String changed =
                json.replaceFirst("\"" + field + "\": [^,}]+", "\"" + field + "\": " + value.replace("\\", "\\\\"));
        String shown = value.length() > 20 ? value.length() + " characters" : value;
        return new Case(field + " " + shown, changed, field);
    }

    private static Case added(String json, String field, String value) {
        return new Case(field + " " + value, append(json, "\"" + field + "\": " + value), field);
    }

    private static Case scaling(String members, String field) {
        return new Case(
                "scaling " + members, append(GOOD, "\"rope_scaling\": {" + members + "}"), "rope_scaling." + field);
    }

    private static String append(String json, String members) {
        return json.substring(0, json.length() - 1) + ", " + members + "}";
    }

    private static String list(String... items) {
        return "[" + String.join(",", items) + "]";
    }
}
