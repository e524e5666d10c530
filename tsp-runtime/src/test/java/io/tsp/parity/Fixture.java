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
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A small model with one input, as {@code scripts/fixtures/README.md} describes it.
 *
 * @param model name of the model's directory
 * @param oracle name of the input without its suffix, such as {@code s203}
 */
public record Fixture(String model, String oracle) {
    private static final String SUFFIX = ".safetensors";
    private static final String TRAINING = "training";
    private static final String BF16_ERROR = ".bf16_error";
    private static final String GRADIENTS = ".gradients.safetensors";

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
                        .filter(file -> !file.toString().endsWith(GRADIENTS)
                                && !file.getFileName().toString().equals(TRAINING + SUFFIX))
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

    public Path directory() {
        return root().resolve(model);
    }

    public TokenBatch tokens() {
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

    /**
     * A weight's gradient by PyTorch.
     *
     * @param values [rows, columns] in f32
     * @param bf16Error of transformers' own bf16 run, as a share of the Frobenius norm
     */
    record Gradient(long columns, float[] values, double bf16Error) {}

    /** Whether {@link #gradients} are there. */
    boolean hasGradients() {
        return Files.exists(gradientFile());
    }

    /** By Hugging Face name. */
    Map<String, Gradient> gradients() {
        Map<String, Gradient> gradients = new TreeMap<>();
        try (SafetensorsFile file = SafetensorsFile.open(gradientFile())) {
            file.tensors().forEach((name, tensor) -> {
                if (!name.endsWith(BF16_ERROR)) {
                    gradients.put(
                            name,
                            new Gradient(
                                    tensor.dims().size() == 1
                                            ? 1
                                            : tensor.dims().get(1),
                                    floats(file, name),
                                    floats(file, name + BF16_ERROR)[0]));
                }
            });
        }
        return gradients;
    }

    /** What PyTorch makes of the model in some steps of AdamW; {@link #tokens} are those of all microbatches. */
    record Training(double[] losses, double[] gradientNorms, double[] learningRates, double[] settings) {}

    public static Fixture training(String model) {
        return new Fixture(model, TRAINING);
    }

    Training training() {
        try (SafetensorsFile file = SafetensorsFile.open(file())) {
            return new Training(
                    doubles(file, "losses"),
                    doubles(file, "gradient_norms"),
                    doubles(file, "learning_rates"),
                    doubles(file, "settings"));
        }
    }

    private static double[] doubles(SafetensorsFile file, String name) {
        StoredTensor tensor = Objects.requireNonNull(file.tensors().get(name), name);
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
        file.read(tensor, 0, bytes);
        double[] values = new double[bytes.flip().remaining() / Double.BYTES];
        bytes.asDoubleBuffer().get(values);
        return values;
    }

    private Path gradientFile() {
        return directory().resolve("oracle").resolve(oracle + GRADIENTS);
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
