package io.tsp.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelConfig;
import io.tsp.model.RopeConfig;
import io.tsp.model.RopeConfig.Dynamic;
import io.tsp.model.RopeConfig.Linear;
import io.tsp.model.RopeConfig.Llama3;
import io.tsp.model.RopeConfig.None;
import io.tsp.model.RopeConfig.Yarn;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a published model is computed with another configuration than transformers gives it. */
class ConfigReaderTest {
    private static final Path FIXTURES = Path.of("src/test/resources/fixtures");
    private static final String SIZES = "\"hidden_size\": 64, \"intermediate_size\": 32, \"num_hidden_layers\": 4,"
            + " \"num_attention_heads\": 8, \"vocab_size\": 100";

    static List<Path> directories() throws IOException {
        try (Stream<Path> entries = Files.list(FIXTURES)) {
            return entries.filter(Files::isDirectory).sorted().toList();
        }
    }

    /** The generator of the fixtures has made sure that transformers reads both files as one model. */
    @ParameterizedTest
    @MethodSource("directories")
    void bothSpellingsMeanTheSameModel(Path directory) throws IOException {
        ModelConfig modern = read(Files.readString(directory.resolve("config.json")));
        Path old = directory.resolve("config.transformers4.json");
        if (Files.exists(old)) {
            assertEquals(modern, read(Files.readString(old)));
        }
        assertEquals(modern, ModelDirectory.readConfig(directory));
        ModelDirectory.open(directory).close();
    }

    @Test
    void llamaLeavesOutWhatIsUsual() {
        ModelConfig config = read("llama", "");
        RopeConfig rope = new RopeConfig(10_000, new None());
        assertEquals(
                new ModelConfig("llama", 64, 32, 4, 8, 8, 8, 100, 1e-6f, 2048, false, false, false, 0, 0, rope),
                config);
    }

    @Test
    void familiesHaveTheirDefaults() {
        ModelConfig mistral = read("mistral", "");
        assertEquals(8, mistral.kvHeads());
        assertEquals(4096, mistral.window());
        assertEquals(131_072, mistral.maxPositions());
        ModelConfig qwen2 = read("qwen2", "\"num_key_value_heads\": 2");
        assertTrue(qwen2.qkvBias() && !qwen2.qkNorm());
        assertEquals(32_768, qwen2.maxPositions());
        ModelConfig qwen3 = read("qwen3", "\"num_key_value_heads\": 2, \"tie_word_embeddings\": true");
        assertTrue(qwen3.qkNorm() && !qwen3.qkvBias() && qwen3.tiedEmbeddings());
        assertEquals(128, qwen3.headDim());
    }

    @Test
    void windowsFollowTheFamilyRules() {
        assertEquals(0, read("mistral", "\"sliding_window\": null").window());
        assertEquals(
                7,
                read("mistral", "\"sliding_window\": 7, \"layer_types\": null").window(3));
        assertEquals(0, read("llama", "\"sliding_window\": 7").window());
        String kv = "\"num_key_value_heads\": 2, \"sliding_window\": 7";
        assertEquals(0, read("qwen2", kv + ", \"max_window_layers\": 0").window(3));
        ModelConfig windowed = read("qwen2", kv + ", \"use_sliding_window\": true, \"max_window_layers\": 3");
        assertEquals(0, windowed.window(2));
        assertEquals(7, windowed.window(3));
        assertEquals(0, read("qwen3", kv + ", \"use_sliding_window\": true").window(3), "28 full layers by default");
        ModelConfig listed = read(
                "qwen3",
                kv + ", \"use_sliding_window\": true, \"max_window_layers\": 9,"
                        + " \"layer_types\": [\"full_attention\"" + ", \"sliding_attention\"".repeat(3) + "]");
        assertEquals(1, listed.windowFromLayer());
    }

    @Test
    void ropeIsReadInEverySpelling() {
        assertEquals(new RopeConfig(5e5, new None()), rope("\"rope_theta\": 500000"));
        assertEquals(new RopeConfig(5e5, new None()), rope("\"rope_theta\": 5e5, \"rope_scaling\": null"));
        assertEquals(
                new RopeConfig(7, new None()),
                rope("\"rope_parameters\": {\"rope_theta\": 7.0, \"rope_type\": \"default\"}"));
        assertEquals(new RopeConfig(9, new None()), rope("\"rope_theta\": 9, \"rope_parameters\": {}"));
        assertEquals(
                new RopeConfig(10_000, new Linear(2)), rope("\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}"));
        assertEquals(
                new RopeConfig(10_000, new Dynamic(4, 512)),
                rope("\"max_position_embeddings\": 512, \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 4.0}"));
        assertEquals(
                new RopeConfig(10_000, new Llama3(8, 1, 4, 8192)),
                rope("\"rope_scaling\": {\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0,"
                        + " \"original_max_position_embeddings\": 8192, \"rope_type\": \"llama3\"}"));
        assertEquals(
                new RopeConfig(10_000, new Linear(2)),
                rope("\"rope_scaling\": {\"rope_type\": \"linear\", \"type\": \"dynamic\", \"factor\": 2}"));
    }

    @Test
    void yarnDerivesWhatIsLeftOut() {
        String head = "\"max_position_embeddings\": 1024, \"rope_scaling\": {\"type\": \"yarn\"";
        double four = 0.1 * Math.log(4) + 1;
        assertEquals(
                new Yarn(4, four, 32, 1, 256, true),
                rope(head + ", \"factor\": 4, \"original_max_position_embeddings\": 256}")
                        .scaling());
        assertEquals(
                new Yarn(4, four, 32, 1, 256, true),
                rope(head + ", \"factor\": null, \"beta_fast\": 0, \"original_max_position_embeddings\": 256}")
                        .scaling());
        assertEquals(
                new Yarn(4, 0.5, 16, 2, 1024, false),
                rope(head + ", \"factor\": 4, \"attention_factor\": 0.5, \"beta_fast\": 16, \"beta_slow\": 2,"
                                + " \"truncate\": false}")
                        .scaling());
        Yarn ratio = (Yarn) rope(head + ", \"factor\": 4, \"mscale\": 2, \"mscale_all_dim\": 1}")
                .scaling();
        assertEquals((0.2 * Math.log(4) + 1) / four, ratio.attentionFactor());
        assertEquals(1, ((Yarn) rope(head + ", \"factor\": 1}").scaling()).attentionFactor());
    }

    @Test
    void whatDoesNotMatterIsPassedOver() {
        ModelConfig plain = read("llama", "");
        assertEquals(plain, read("llama", "\"auto_map\": {\"AutoModel\": \"evil.Model\"}, \"architectures\": [\"X\"]"));
        assertEquals(
                plain, read("llama", "\"hidden_act\": \"swish\", \"pretraining_tp\": 4, \"attention_dropout\": 0.1"));
        assertEquals(
                plain, read("llama", "\"attention_bias\": null, \"quantization_config\": null, \"head_dim\": null"));
        assertEquals(48, read("llama", "\"head_dim\": 48").headDim());
    }

    private static RopeConfig rope(String members) {
        return read("llama", members).rope();
    }

    private static ModelConfig read(String family, String members) {
        return read("{\"model_type\": \"" + family + "\", " + SIZES + (members.isEmpty() ? "" : ", " + members) + "}");
    }

    private static ModelConfig read(String json) {
        return ConfigReader.read("config.json", json.getBytes(UTF_8));
    }
}
