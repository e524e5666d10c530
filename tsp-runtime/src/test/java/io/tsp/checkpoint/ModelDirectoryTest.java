package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import io.tsp.model.WeightShapes;
import io.tsp.tensor.DType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that weights of another model are computed with, or that files outside the model can be read. */
class ModelDirectoryTest {
    private static final String EMBEDDING = "model.embed_tokens.weight";
    private static final String HEAD = "lm_head.weight";
    private static final String GATE = "model.layers.0.mlp.gate_proj.weight";

    @TempDir
    Path directory;

    record Misfit(String name, Consumer<SmallModel> spoil, List<String> saying) {
        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Misfit> misfits() {
        return Stream.of(
                misfit("missing", model -> model.tensors.remove(GATE), "missing " + GATE + " [8, 16]"),
                misfit("extra", model -> model.tensors.put("x", entry("F32", 1)), "unexpected \"x\" [1]", "byte "),
                misfit(
                        "bias",
                        model -> model.tensors.put("model.layers.0.self_attn.o_proj.bias", entry("F32", 16)),
                        "o_proj.bias"),
                misfit(
                        "one layer too many",
                        model -> model.tensors.put("model.layers.1.input_layernorm.weight", entry("F32", 16)),
                        "unexpected"),
                misfit(
                        "transposed",
                        model -> model.tensors.put(GATE, entry("F32", 16, 8)),
                        "[16, 8]",
                        "instead of [8, 16]"),
                misfit("flat", model -> model.tensors.put(GATE, entry("F32", 128)), "[128]", "instead of [8, 16]"),
                misfit("rank 3", model -> model.tensors.put(GATE, entry("F32", 8, 16, 1)), "instead of [8, 16]"),
                misfit("scalar", model -> model.tensors.put(GATE, entry("F32")), "instead of [8, 16]"),
                misfit("empty", model -> model.tensors.put(GATE, entry("F32", 0, 16)), "instead of [8, 16]"),
                misfit(
                        "F64",
                        model -> model.tensors.put(GATE, entry("F64", 8, 16)),
                        "dtype F64 instead of F32, F16 or BF16"),
                misfit("I8", model -> model.tensors.put(GATE, entry("I8", 8, 16)), "dtype I8"),
                misfit("F8", model -> model.tensors.put(GATE, entry("F8_E4M3", 8, 16)), "dtype F8_E4M3"),
                misfit("vocabulary", model -> model.tensors.put(EMBEDDING, entry("F32", 5, 16)), "instead of [4, 16]"),
                misfit("head", model -> model.tensors.put(HEAD, entry("F32", 5, 16)), "instead of [4, 16]"),
                misfit("no head", model -> model.tensors.remove(HEAD), "missing " + HEAD),
                misfit(
                        "tied, no table",
                        model -> {
                            model.tied().tensors.remove(HEAD);
                            model.tensors.remove(EMBEDDING);
                        },
                        "missing " + EMBEDDING),
                misfit(
                        "tied, wrong head",
                        model -> model.tied().tensors.put(HEAD, entry("F32", 5, 16)),
                        "instead of [4, 16]"),
                misfit(
                        "tied, other dtype",
                        model -> model.tied().tensors.put(HEAD, entry("BF16", 4, 16)),
                        "differs from",
                        "tie_word_embeddings"),
                misfit(
                        "all at once",
                        model -> {
                            model.tensors.remove(HEAD);
                            model.tensors.put("x", entry("F32", 1));
                            model.tensors.put(GATE, entry("F64", 8, 16));
                        },
                        "missing " + HEAD,
                        "unexpected \"x\"",
                        "dtype F64"),
                misfit(
                        "nothing fits",
                        model -> {
                            model.tensors.clear();
                            model.tensors.put("x", entry("F32", 1));
                        },
                        "missing " + EMBEDDING,
                        "missing " + HEAD),
                misfit(
                        "a hundred extra",
                        model -> {
                            for (int i = 0; i < 100; i++) {
                                model.tensors.put("x" + i, entry("F32", 1));
                            }
                        },
                        "and 80 more"));
    }

    @ParameterizedTest
    @MethodSource("misfits")
    void weightsThatDoNotFitAreRefused(Misfit misfit) {
        SmallModel model = new SmallModel();
        misfit.spoil.accept(model);
        ModelException refusal = refusal(model.write(directory));
        assertEquals(ModelException.Part.FILE, refusal.part());
        for (String part : misfit.saying) {
            assertTrue(refusal.getMessage().contains(part), refusal.getMessage());
        }
    }

    @Test
    void buffersOfOldCheckpointsArePassedOver() {
        SmallModel model = new SmallModel();
        model.tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq", entry("F32", 4));
        ModelDirectory.open(model.write(directory)).close();
    }

    @Test
    void aTiedTableMayBeStoredTwiceOrUnderTheOtherName() {
        ModelDirectory.open(new SmallModel().tied().write(directory)).close();
        SmallModel model = new SmallModel().tied();
        model.tensors.remove(EMBEDDING);
        try (ModelDirectory opened = ModelDirectory.open(model.write(directory))) {
            ByteBuffer target = ByteBuffer.allocate(4 * 16 * 4);
            opened.read(EMBEDDING, 0, 4, 0, 16, DType.F32, target);
            assertEquals(0, target.remaining());
            assertThrows(ModelException.class, () -> opened.shape(HEAD));
        }
    }

    @Test
    void aTiedTableStoredTwiceMustBeEqual() throws IOException {
        SmallModel model = new SmallModel().tied();
        Path file = model.write(directory).resolve("model.safetensors");
        try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
            bytes.seek(bytes.length() - 1);
            bytes.write(1);
        }
        assertTrue(refusal(directory).getMessage().contains("set tie_word_embeddings to false"));
    }

    @Test
    void whatIsNotThereIsNamed() throws IOException {
        assertTrue(refusal(directory.resolve("x")).getMessage().contains("x is not a directory"));
        ModelException noConfig = refusal(directory);
        assertEquals(ModelException.Part.CONFIG, noConfig.part());
        assertTrue(noConfig.getMessage().contains("there is no file " + directory.resolve("config.json")));
        SmallModel.put(directory, "config.json", SmallModel.CONFIG);
        assertTrue(refusal(directory).getMessage().contains("neither model.safetensors nor"));
        Files.createDirectory(directory.resolve("model.safetensors"));
        assertTrue(refusal(directory).getMessage().contains("model.safetensors is not a regular file"));
    }

    @Test
    void aPipeIsRefusedWithoutWaitingForAWriter() throws Exception {
        SmallModel.put(directory, "config.json", SmallModel.CONFIG);
        Path pipe = directory.resolve("model.safetensors");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
        assertTrue(refusal(directory).getMessage().contains("not a regular file"));
        String message = assertThrows(ModelException.class, () -> SafetensorsFile.open(pipe))
                .getMessage();
        assertTrue(message.contains("not a regular file"), message);
    }

    @Test
    void linksOutOfTheDirectoryAreRefused() throws IOException {
        Path outside = Files.createDirectories(directory.resolve("outside"));
        Path model = Files.createDirectories(directory.resolve("model"));
        new SmallModel().write(outside);
        SmallModel.put(model, "config.json", SmallModel.CONFIG);
        for (String target : List.of(
                "../outside/model.safetensors",
                outside.resolve("model.safetensors").toString())) {
            Files.deleteIfExists(model.resolve("model.safetensors"));
            Files.createSymbolicLink(model.resolve("model.safetensors"), Path.of(target));
            assertTrue(refusal(model).getMessage().contains("leads out of the model directory"));
        }
        Files.delete(model.resolve("model.safetensors"));
        Files.createSymbolicLink(model.resolve("model.safetensors"), Path.of("nowhere"));
        assertTrue(refusal(model).getMessage().contains("link to a file that does not exist"));
    }

    @Test
    void linksWithinTheDirectoryAreFollowed() throws IOException {
        new SmallModel().write(directory);
        Files.move(directory.resolve("model.safetensors"), directory.resolve("other.bin"));
        Files.createSymbolicLink(directory.resolve("model.safetensors"), Path.of("other.bin"));
        ModelDirectory.open(directory).close();
    }

    @Test
    void theCacheOfHuggingFaceIsFollowedAndNothingElse() throws IOException {
        Path blobs = Files.createDirectories(directory.resolve("models--a--b/blobs"));
        Path snapshot = Files.createDirectories(directory.resolve("models--a--b/snapshots/0123"));
        String hash = "0123456789abcdef".repeat(4);
        new SmallModel().write(blobs);
        Files.move(blobs.resolve("model.safetensors"), blobs.resolve(hash));
        Files.move(blobs.resolve("config.json"), blobs.resolve(hash.substring(24)));
        Files.createSymbolicLink(snapshot.resolve("config.json"), Path.of("../../blobs/" + hash.substring(24)));
        Path link = snapshot.resolve("model.safetensors");
        Files.createSymbolicLink(link, Path.of("../../blobs/" + hash));
        ModelDirectory.open(snapshot).close();

        Files.move(blobs.resolve(hash), directory.resolve(hash));
        Files.createSymbolicLink(blobs.resolve(hash), Path.of("../../" + hash));
        assertTrue(refusal(snapshot).getMessage().contains("leads out"), "a blob that is a link itself");
        Files.delete(link);
        Files.createSymbolicLink(link, Path.of("../../../" + hash));
        assertTrue(refusal(snapshot).getMessage().contains("leads out"), "a link that is not into blobs");
    }

    @Test
    void aFileThatShrinksWhileOpenIsAnError() throws IOException {
        Path file = new SmallModel().write(directory).resolve("model.safetensors");
        try (ModelDirectory model = ModelDirectory.open(directory)) {
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                channel.truncate(channel.size() - 100);
            }
            ByteBuffer target = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);
            String message = assertThrows(ModelException.class, () -> model.read(HEAD, 0, 4, 0, 16, DType.F32, target))
                    .getMessage();
            assertTrue(message.contains("has become shorter") && message.contains(", byte "), message);
        }
    }

    @Test
    void ranksReadAtTheSameTime() {
        Path fixture = Path.of("src/test/resources/fixtures/sharded");
        try (ModelDirectory model = ModelDirectory.open(fixture)) {
            long first = checksum(model);
            assertTrue(IntStream.range(0, 64).parallel().allMatch(i -> checksum(model) == first));
        }
    }

    private static long checksum(ModelDirectory model) {
        CRC32C sum = new CRC32C();
        WeightShapes.of(model.config()).forEach((name, shape) -> {
            long columns = shape.rank() == 1 ? 1 : shape.last();
            ByteBuffer target = ByteBuffer.allocate((int) shape.count() * 2);
            model.read(name, 0, shape.dim(0), 0, columns, DType.BF16, target);
            sum.update(target.flip());
        });
        return sum.getValue();
    }

    @Test
    void blocksOutsideATensorAreRefused() {
        try (ModelDirectory model = ModelDirectory.open(new SmallModel().write(directory))) {
            long[][] blocks = {
                {-1, 1, 0, 1},
                {0, 5, 0, 1},
                {4, 1, 0, 1},
                {0, 1, 16, 1},
                {0, 1, 0, 17},
                {0, -1, 0, 1},
                {1, Long.MAX_VALUE, 0, 1},
                {0, 1, Long.MAX_VALUE, 2}
            };
            for (long[] b : blocks) {
                ByteBuffer target = ByteBuffer.allocate(1024);
                assertThrows(ModelException.class, () -> model.read(HEAD, b[0], b[1], b[2], b[3], DType.F32, target));
            }
            assertThrows(ModelException.class, () -> model.shape("x"));
            ByteBuffer small = ByteBuffer.allocate(255);
            assertThrows(IllegalArgumentException.class, () -> model.read(HEAD, 0, 4, 0, 16, DType.F32, small));
            assertThrows(IllegalArgumentException.class, () -> model.read(HEAD, 0, 4, 0, 16, DType.I32, small));
            model.read(HEAD, 4, 0, 16, 0, DType.F32, small);
            assertArrayEquals(new int[] {0, 255}, new int[] {small.position(), small.limit()});
        }
    }

    private static ModelException refusal(Path directory) {
        return assertThrows(ModelException.class, () -> ModelDirectory.open(directory));
    }

    private static Misfit misfit(String name, Consumer<SmallModel> spoil, String... saying) {
        return new Misfit(name, spoil, List.of(saying));
    }

    private static SmallModel.Entry entry(String type, Integer... dims) {
        return new SmallModel.Entry(
                type, Stream.of(dims).map(Integer::longValue).toList());
    }
}
