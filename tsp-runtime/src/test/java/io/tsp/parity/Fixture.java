package io.tsp.parity;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.checkpoint.SafetensorsFile;
import io.tsp.checkpoint.StoredTensor;
import io.tsp.data.TokenBatch;
import io.tsp.data.TokenFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A small model with one input, as {@code scripts/fixtures/README.md} describes it.
 *
 * @param model name of the model's directory
 * @param oracle name of the input without its suffix, such as {@code s203}
 */
record Fixture(String model, String oracle) {
    private static final String SUFFIX = ".safetensors";

    /**
     * What transformers gives.
     *
     * @param logits [B, S, V] in f32
     * @param largest of the logits' magnitudes
     * @param bf16Error largest error of transformers' own bf16 run
     */
    record Expected(float[] logits, double loss, double largest, double bf16Error) {}

    /** Every input of every model; the text model's tokens are another test's. */
    static Stream<Fixture> all() {
        return list(root())
                .filter(directory -> Files.isDirectory(directory.resolve("oracle")))
                .filter(directory -> Files.exists(directory.resolve("config.transformers4.json")))
                .flatMap(directory -> list(directory.resolve("oracle"))
                        .map(file -> new Fixture(directory.getFileName().toString(), name(file))));
    }

    private static String name(Path file) {
        String name = file.getFileName().toString();
        return name.substring(0, name.length() - SUFFIX.length());
    }

    private static Stream<Path> list(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            return files.sorted().toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path root() {
        try {
            return Path.of(Objects.requireNonNull(Fixture.class.getResource("/fixtures/manifest.json"))
                            .toURI())
                    .getParent();
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    Path directory() {
        return root().resolve(model);
    }

    TokenBatch tokens() {
        return TokenFile.read(file(), ModelDirectory.readConfig(directory()).vocab());
    }

    Expected expected() {
        try (SafetensorsFile file = SafetensorsFile.open(file())) {
            return new Expected(
                    floats(file, "logits_f32"),
                    floats(file, "loss_f32")[0],
                    floats(file, "largest_logit")[0],
                    floats(file, "bf16_max_error")[0]);
        }
    }

    private Path file() {
        return directory().resolve("oracle").resolve(oracle + SUFFIX);
    }

    private static float[] floats(SafetensorsFile file, String name) {
        StoredTensor tensor = Objects.requireNonNull(file.tensors().get(name), name);
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
        file.read(tensor, 0, bytes);
        float[] values = new float[bytes.flip().remaining() / Float.BYTES];
        bytes.asFloatBuffer().get(values);
        return values;
    }

    @Override
    public String toString() {
        return model + "/" + oracle;
    }
}
