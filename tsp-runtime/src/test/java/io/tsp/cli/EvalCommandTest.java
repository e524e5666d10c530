package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.SafetensorsFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that {@code tsp eval} shows or writes something else than what the model computes. */
class EvalCommandTest {
    private static final double TOLERANCE = 1e-4;

    @TempDir
    private Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"single", "tsp", "tp+sp:2x2", "ulysses"})
    void lossAndLogitsAreThoseOfTransformers(String scheme) throws IOException {
        Path model = Cli.FIXTURES.resolve("qwen3");
        Path oracle = model.resolve("oracle/s203.safetensors");
        Path json = folder.resolve("eval.json");
        Path logits = folder.resolve("logits.safetensors");
        Cli cli = Cli.ok(
                "eval", "--model", model, "--tokens", oracle, "--scheme", scheme, "--json", json, "--logits", logits);

        Map<String, Object> result = Cli.json(json);
        assertEquals(Cli.floats(oracle, "loss_f32")[0], (double) result.get("loss"), TOLERANCE);
        assertEquals(Math.exp((double) result.get("loss")), (double) result.get("perplexity"), 1e-6);
        assertEquals(353.0, result.get("tokens"));
        assertEquals(scheme.equals("single") ? 1.0 : 4.0, result.get("ranks"));
        assertTrue(cli.out().startsWith("loss        7.58"), cli.out());
        float tolerance = (float) (TOLERANCE * Cli.floats(oracle, "largest_logit")[0]);
        assertArrayEquals(Cli.floats(oracle, "logits_f32"), Cli.floats(logits, "logits"), tolerance);
    }

    @ParameterizedTest
    @ValueSource(strings = {"single", "tsp", "tp+sp-regions", "fsdp+sp"})
    void gradientsAreThoseOfTransformers(String scheme) throws IOException {
        Path model = Cli.FIXTURES.resolve("qwen2");
        Path gradients = folder.resolve("gradients.safetensors");
        Cli.ok(
                "eval",
                "--model",
                model,
                "--tokens",
                model.resolve("oracle/s203.safetensors"),
                "--scheme",
                scheme,
                "--gradients",
                gradients);
        Path expected = model.resolve("oracle/s203.gradients.safetensors");
        try (SafetensorsFile file = SafetensorsFile.open(gradients)) {
            assertEquals(26, file.tensors().size());
            for (String name : file.tensors().keySet()) {
                float[] values = Cli.floats(expected, name);
                float largest = 0;
                for (float value : values) {
                    largest = Math.max(largest, Math.abs(value));
                }
                assertArrayEquals(values, Cli.floats(gradients, name), (float) TOLERANCE * largest, name);
            }
        }
    }

    @Test
    void gradientsNeedAllRanksInOneProcess() {
        Path model = Cli.FIXTURES.resolve("llama2");
        Path gradients = folder.resolve("gradients.safetensors");
        Cli cli = Cli.in(
                Map.of("OMPI_COMM_WORLD_SIZE", "2", "OMPI_COMM_WORLD_RANK", "0"),
                "eval",
                "--model",
                model,
                "--tokens",
                model.resolve("oracle/s17.safetensors"),
                "--degree",
                "2",
                "--scheme",
                "tsp",
                "--gradients",
                gradients);
        assertEquals(2, cli.code());
        assertTrue(cli.err().contains("--gradients needs all ranks in one process"), cli.err());
        assertFalse(Files.exists(gradients));
    }

    @Test
    void jsonHasTheFieldsThatScriptsRead() throws IOException {
        Path json = folder.resolve("eval.json");
        Path model = Cli.FIXTURES.resolve("llama2");
        Cli.ok("eval", "--model", model, "--tokens", model.resolve("oracle/s17.safetensors"), "--json", json);
        assertEquals(
                List.of(
                        "schemaVersion",
                        "loss",
                        "perplexity",
                        "tokens",
                        "model",
                        "scheme",
                        "ranks",
                        "dtype",
                        "batch",
                        "seq",
                        "steps",
                        "seconds",
                        "tokensPerSecond"),
                List.copyOf(Cli.json(json).keySet()));
    }

    @Test
    void withoutLabelsThereIsNoLoss() throws IOException {
        Path json = folder.resolve("eval.json");
        Path model = Cli.FIXTURES.resolve("llama2");
        Cli cli = Cli.ok("eval", "--model", model, "--tokens", model.resolve("oracle/s1.safetensors"), "--json", json);
        assertEquals(null, Cli.json(json).get("loss"));
        assertTrue(cli.out().contains("no token has a label"), cli.out());
    }

    /** The mean is over all tokens of a text, however they are cut into steps. */
    @Test
    void batchesOfAnySizeGiveTheSameLossAndLogits() throws IOException {
        Path model = Cli.FIXTURES.resolve("text");
        Path text = model.resolve("text.txt");
        double loss = Double.NaN;
        float[] expected = {};
        for (int batch : new int[] {1, 3, 8}) {
            Path json = folder.resolve("eval.json");
            Path logits = folder.resolve("logits.safetensors");
            Cli.ok(
                    "eval",
                    "--model",
                    model,
                    "--text",
                    text,
                    "--seq",
                    32,
                    "--batch",
                    batch,
                    "--json",
                    json,
                    "--logits",
                    logits);
            Map<String, Object> result = Cli.json(json);
            float[] values = Cli.floats(logits, "logits");
            if (batch == 1) {
                loss = (double) result.get("loss");
                expected = values;
                assertEquals(result.get("steps"), sequences(logits));
            }
            assertEquals(loss, (double) result.get("loss"), TOLERANCE, "batch " + batch);
            assertArrayEquals(expected, values, 1e-3f, "batch " + batch);
        }
    }

    private static double sequences(Path logits) {
        try (SafetensorsFile file = SafetensorsFile.open(logits)) {
            return file.tensors().get("logits").dims().getFirst();
        }
    }

    @Test
    void sequencesLongerThanTheModelsAreRemarkedOn() {
        Path model = Cli.FIXTURES.resolve("rope-dynamic");
        Cli cli = Cli.ok("eval", "--model", model, "--tokens", model.resolve("oracle/s203.safetensors"));
        assertTrue(cli.err().contains("longer than the 64 that this model was made for"), cli.err());
    }

    /** The last bytes of the file are those of the final norm. */
    @ParameterizedTest
    @ValueSource(strings = {"single", "tsp"})
    void aWeightThatIsNotANumberIsReported(String scheme) throws IOException {
        Path original = Cli.FIXTURES.resolve("llama2");
        byte[] weights = Files.readAllBytes(original.resolve("model.safetensors"));
        ByteBuffer.wrap(weights).order(ByteOrder.LITTLE_ENDIAN).putFloat(weights.length - Float.BYTES, Float.NaN);
        Files.write(folder.resolve("model.safetensors"), weights);
        Files.copy(original.resolve("config.json"), folder.resolve("config.json"));
        Path tokens = original.resolve("oracle/s17.safetensors");
        Cli cli = Cli.run("eval", "--model", folder, "--tokens", tokens, "--scheme", scheme);
        assertEquals(ExitCode.NUMERIC.code(), cli.code());
        assertTrue(cli.err().startsWith("tsp: the loss under scheme " + scheme + " is NaN;"), cli.err());
        assertEquals("", cli.out());
    }

    @Test
    void aFileThatCannotBeFinishedLeavesNothingBehind() throws IOException {
        Path text = Files.writeString(folder.resolve("text"), "a few bytes");
        Path json = folder.resolve("eval.json");
        Cli cli = Cli.run(
                "eval", "--preset", "tiny", "--text", text, "--json", json, "--logits", folder.resolve("no/where"));
        assertEquals(ExitCode.STORAGE.code(), cli.code());
        assertFalse(Files.exists(json));
        try (var files = Files.list(folder)) {
            assertEquals(List.of(text), files.toList());
        }
    }

    @Test
    void theOtherRanksOfALauncherAreSilent() {
        assertTrue(Clusters.speaks(Map.of("OMPI_COMM_WORLD_SIZE", "3", "OMPI_COMM_WORLD_RANK", "0")));
        assertFalse(Clusters.speaks(Map.of("OMPI_COMM_WORLD_SIZE", "3", "OMPI_COMM_WORLD_RANK", "1")));
        assertFalse(Clusters.speaks(Map.of("PMI_SIZE", "2", "PMI_RANK", "1", "SLURM_PROCID", "0")));
        assertTrue(Clusters.speaks(Map.of("SLURM_STEP_NUM_TASKS", "1", "SLURM_PROCID", "3")));
        assertTrue(Clusters.launchedRanks(Map.of("OMPI_COMM_WORLD_SIZE", "x")).isEmpty());
        assertEquals(
                3,
                Clusters.launchedRanks(Map.of("OMPI_COMM_WORLD_SIZE", "3", "OMPI_COMM_WORLD_RANK", "2"))
                        .getAsInt());
    }
}
