package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import io.tsp.plan.Schemes;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.train.TrainingRunner;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A failure means that training takes another way than when {@code golden/losses.txt} was written. In f32 the way is
 * PyTorch's, which {@link TrainingParityTest} proves; in bf16 roundings decide, so only these numbers tell. To write the
 * file again, if the change is meant: run this class with {@code -Dtsp.golden.write=true}.
 */
class GoldenLossesTest {
    private static final Path FILE = Path.of("src/test/resources/golden/losses.txt");
    private static final int STEPS = 10;
    /** Other instruction sets sum in other orders: avx2 is up to 1e-6 and 4e-3 away from avx512bf16. */
    private static final Map<DType, Double> TOLERANCES = Map.of(DType.F32, 1e-5, DType.BF16, 1e-2);

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    private static final Map<String, double[]> WRITTEN = new TreeMap<>();

    @AfterAll
    static void write() throws IOException {
        if (isWriting()) {
            Files.createDirectories(FILE.getParent());
            Files.write(
                    FILE,
                    WRITTEN.entrySet().stream().map(GoldenLossesTest::line).toList());
        }
    }

    private static boolean isWriting() {
        return Boolean.getBoolean("tsp.golden.write");
    }

    private static String line(Map.Entry<String, double[]> entry) {
        return entry.getKey() + ": "
                + Arrays.stream(entry.getValue())
                        .mapToObj(loss -> String.format(Locale.ROOT, "%.7f", loss))
                        .collect(Collectors.joining(" "));
    }

    static Stream<Run> runs() {
        List<Scheme> schemes = List.of(
                Schemes.of("single", 1, 1),
                Schemes.of("tsp", 2, 1),
                Schemes.of("tsp", 3, 1),
                Schemes.of("tp", 2, 1),
                Schemes.of("tp+sp-regions", 2, 1),
                Schemes.of("sp", 2, 1),
                Schemes.of("tp+sp:2x2", 4, 1),
                Schemes.of("fsdp+sp", 3, 1),
                Schemes.of("ulysses", 2, 1),
                Schemes.of("tsp", 2, 2));
        return schemes.stream()
                .flatMap(scheme -> Stream.of(DType.F32, DType.BF16)
                        .map(dtype -> new Run(Fixture.training("llama2"), scheme, dtype)));
    }

    private static String name(Run run) {
        return run.fixture().model() + " " + run.scheme().name() + " of "
                + run.scheme().mesh().worldSize() + " " + run.dtype();
    }

    @ParameterizedTest
    @MethodSource("runs")
    void takesTheSameWay(Run run) throws IOException {
        double[] losses;
        try (Steps steps = Steps.open(libraries, run, Steps.Way.PLAIN)) {
            losses = steps.first(STEPS).stream()
                    .mapToDouble(TrainingRunner.Result::loss)
                    .toArray();
        }
        if (isWriting()) {
            WRITTEN.put(name(run), losses);
            return;
        }
        double[] golden = golden().get(name(run));
        assertNotNull(golden, () -> FILE + " has no line for " + name(run));
        assertEquals(STEPS, golden.length);
        for (int step = 0; step < STEPS; step++) {
            assertEquals(golden[step], losses[step], TOLERANCES.get(run.dtype()), name(run) + ", step " + (step + 1));
        }
    }

    private static Map<String, double[]> golden() throws IOException {
        return Files.readAllLines(FILE).stream()
                .map(line -> line.split(": "))
                .collect(Collectors.toMap(
                        parts -> parts[0],
                        parts -> Arrays.stream(parts[1].split(" "))
                                .mapToDouble(Double::parseDouble)
                                .toArray()));
    }
}
