package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelConfig;
import io.tsp.model.Presets;
import io.tsp.model.RandomWeights;
import io.tsp.model.RopeConfig;
import io.tsp.model.WeightShapes;
import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a trained model cannot be used elsewhere, or is another one there. */
class ModelWriterTest {
    private static final Path FIXTURES = Path.of("src/test/resources/fixtures");
    private static final ModelConfig TINY = Presets.of("tiny-qwen2");

    @TempDir
    Path directory;

    @TestFactory
    Stream<DynamicTest> aConfigIsReadBackAsItWas() throws IOException {
        List<DynamicTest> tests = new ArrayList<>();
        for (String preset : Presets.byName().keySet()) {
            tests.add(DynamicTest.dynamicTest(preset, () -> assertReadBack(Presets.of(preset))));
        }
        try (Stream<Path> paths = Files.walk(FIXTURES)) {
            for (Path path : paths.filter(ModelWriterTest::isConfig).toList()) {
                tests.add(DynamicTest.dynamicTest(FIXTURES.relativize(path).toString(), () -> {
                    ModelConfig config = ConfigReader.read(path.toString(), Files.readAllBytes(path));
                    assertReadBack(config);
                    byte[] kept = ConfigWriter.withDtype(Files.readAllBytes(path), DType.BF16);
                    assertEquals(config, ConfigReader.read("kept", kept));
                    assertNames(kept, "bfloat16");
                }));
            }
        }
        assertTrue(tests.size() > 40, () -> tests.size() + " configurations");
        return tests.stream();
    }

    private static boolean isConfig(Path path) {
        return path.getFileName().toString().matches("config.*\\.json");
    }

    private static void assertReadBack(ModelConfig config) {
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            byte[] bytes = ConfigWriter.write(config, dtype);
            assertEquals(config, ConfigReader.read("written", bytes));
            assertNames(bytes, dtype == DType.F32 ? "float32" : "bfloat16");
        }
    }

    private static void assertNames(byte[] config, String dtype) {
        String text = new String(config, StandardCharsets.UTF_8);
        assertTrue(text.contains("\"torch_dtype\" : \"" + dtype + "\""), text);
        assertFalse(text.contains("\"dtype\""), text);
        assertTrue(text.contains("ForCausalLM\""), text);
    }

    @Test
    void whatNoFamilyHasIsRefused() {
        ModelConfig llama = Presets.of("tiny");
        ModelConfig windowed = new ModelConfig(
                "llama", 256, 688, 4, 8, 4, 32, 256, 1e-5f, 4096, false, false, false, 64, 0, llama.rope());
        assertThrows(IllegalArgumentException.class, () -> ConfigWriter.write(windowed, DType.F32));
        ModelConfig stretched = new ModelConfig(
                "llama",
                256,
                688,
                4,
                8,
                4,
                32,
                256,
                1e-5f,
                4096,
                false,
                false,
                false,
                0,
                0,
                new RopeConfig(1e4, new RopeConfig.Dynamic(2, 77)));
        assertThrows(IllegalArgumentException.class, () -> ConfigWriter.write(stretched, DType.F32));
    }

    @Test
    void aModelIsReadBackFromOneFileOrFromShards() throws IOException {
        Map<String, byte[]> files = Map.of("tokenizer.json", "{}".getBytes(StandardCharsets.UTF_8));
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            for (long shardBytes : List.of(1L, 1L << 20, 1L << 40)) {
                Path target = Files.createDirectory(directory.resolve(dtype + "-" + shardBytes));
                try (WeightSource weights = new RandomWeights(TINY, 5)) {
                    ModelWriter.write(target, TINY, weights, dtype, files, shardBytes, Disk.SHARED);
                    assertEquals(shardBytes < 1L << 40, Files.exists(target.resolve(ShardIndex.NAME)));
                    assertEquals("{}", Files.readString(target.resolve("tokenizer.json")));
                    assertHolds(target, weights, dtype);
                }
                requireShardsOf(target, shardBytes);
            }
        }
    }

    private static void assertHolds(Path target, WeightSource weights, DType dtype) {
        try (ModelDirectory model = ModelDirectory.open(target)) {
            assertEquals(TINY, model.config());
            for (Map.Entry<String, Shape> weight : WeightShapes.of(TINY).entrySet()) {
                assertArrayEquals(
                        bytes(weights, weight.getKey(), weight.getValue(), dtype),
                        bytes(model, weight.getKey(), weight.getValue(), dtype));
            }
        }
    }

    private static byte[] bytes(WeightSource source, String name, Shape shape, DType dtype) {
        byte[] bytes = new byte[Math.toIntExact(shape.count() * dtype.bytes())];
        source.read(name, 0, shape.dim(0), 0, shape.rank() == 1 ? 1 : shape.last(), dtype, ByteBuffer.wrap(bytes));
        return bytes;
    }

    /** A shard is longer than allowed only where it holds a single weight. */
    private static void requireShardsOf(Path target, long shardBytes) throws IOException {
        try (Stream<Path> paths = Files.list(target)) {
            for (Path path : paths.filter(path -> path.toString().endsWith(".safetensors"))
                    .toList()) {
                try (SafetensorsFile file = SafetensorsFile.open(path)) {
                    long bytes = file.tensors().values().stream()
                            .mapToLong(StoredTensor::bytes)
                            .sum();
                    assertTrue(bytes <= shardBytes || file.tensors().size() == 1, path.toString());
                    assertEquals(Map.of("format", "pt"), file.metadata());
                }
            }
        }
    }

    @Test
    void aConfigThatIsGivenIsKept() throws IOException {
        byte[] original = new String(ConfigWriter.write(TINY, DType.F32), StandardCharsets.UTF_8)
                .replaceFirst("\\{", "{\"eos_token_id\": [7, {}], \"dtype\": \"float32\",")
                .getBytes(StandardCharsets.UTF_8);
        Path target = directory.resolve("kept");
        try (WeightSource weights = new RandomWeights(TINY, 5)) {
            ModelWriter.write(target, TINY, weights, DType.BF16, Map.of("config.json", original));
            assertHolds(target, weights, DType.BF16);
            String kept = Files.readString(target.resolve("config.json"));
            assertTrue(kept.contains("\"eos_token_id\" : [ 7, { } ]"), kept);
            assertFalse(kept.contains("float32"), kept);
            ModelConfig other = Presets.of("tiny-qwen3");
            assertThrows(
                    IllegalArgumentException.class,
                    () -> ModelWriter.write(
                            directory.resolve("other"), other, weights, DType.BF16, Map.of("config.json", original)));
        }
    }

    @Test
    void nothingIsOverwrittenAndNothingLeftHalfWritten() throws IOException {
        Path full = Files.createDirectory(directory.resolve("full"));
        Files.writeString(full.resolve("x"), "x");
        try (WeightSource weights = new RandomWeights(TINY, 5)) {
            for (Path taken : List.of(full, full.resolve("x"))) {
                assertThrows(
                        IllegalArgumentException.class,
                        () -> ModelWriter.write(taken, TINY, weights, DType.F32, Map.of()));
            }
            for (String name : List.of("../x", "model.safetensors", "model-00001-of-00002.safetensors")) {
                Map<String, byte[]> files = Map.of(name, new byte[1]);
                assertThrows(
                        IllegalArgumentException.class,
                        () -> ModelWriter.write(directory.resolve("new"), TINY, weights, DType.F32, files));
            }
            boolean failed = true;
            for (int first = 0; failed; first++) {
                Path target = directory.resolve("new" + first);
                failed = writeFails(target, weights, first);
                // Only what follows the rename may fail and leave the model, which is whole then.
                if (Files.exists(target)) {
                    assertHolds(target, weights, DType.BF16);
                }
                try (Stream<Path> entries = Files.list(directory)) {
                    assertTrue(entries.noneMatch(
                            path -> path.getFileName().toString().startsWith(".")));
                }
            }
        }
    }

    private static boolean writeFails(Path target, WeightSource weights, int first) {
        int[] count = new int[1];
        Disk disk = new Disk(false) {
            @Override
            protected void before(Operation operation, Path path) throws IOException {
                if (count[0]++ == first) {
                    throw new IOException("No space left on device");
                }
            }
        };
        try {
            ModelWriter.write(target, TINY, weights, DType.BF16, Map.of(), 1 << 20, disk);
            return false;
        } catch (StorageException e) {
            assertTrue(e.getMessage().contains("No space left on device"), e.getMessage());
            return true;
        }
    }
}
