package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.tsp.parity.Fixture.Training;
import io.tsp.parity.Steps.Way;
import io.tsp.plan.Schemes;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.train.TrainingRunner;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that training, under some scheme, goes another way than PyTorch's. */
class TrainingParityTest {
    private static final double LOSS_TOLERANCE = 1e-4;
    private static final double NORM_TOLERANCE = 1e-3;
    /** How many steps a run in bf16 is compared with itself. */
    private static final int SOME_STEPS = 3;

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    private static Stream<Scheme> schemes() {
        return Stream.of(
                Schemes.of("single", 1, 1),
                Schemes.of("tsp", 2, 1),
                Schemes.of("tsp", 3, 1),
                Schemes.of("tsp", 4, 1),
                Schemes.of("tp", 3, 1),
                Schemes.of("tp+sp-regions", 2, 1),
                Schemes.of("sp", 2, 1),
                Schemes.of("tp+sp:2x2", 4, 1),
                Schemes.of("fsdp+sp", 4, 1),
                Schemes.of("ulysses", 3, 1),
                Schemes.of("single", 1, 2),
                Schemes.of("tsp", 2, 2),
                Schemes.of("fsdp+sp", 2, 2));
    }

    static Stream<Run> runs() {
        return Stream.of("llama2", "file-bf16")
                .flatMap(model -> schemes().map(scheme -> new Run(Fixture.training(model), scheme, DType.F32)));
    }

    static Stream<Run> bf16Runs() {
        return runs().map(run -> new Run(run.fixture(), run.scheme(), DType.BF16));
    }

    @ParameterizedTest
    @MethodSource("runs")
    void goesAsPyTorchGoes(Run run) {
        judge(run, results(run, run.fixture().training().losses().length, Way.PLAIN));
    }

    /** @param results of the first steps */
    static void judge(Run run, List<TrainingRunner.Result> results) {
        Training expected = run.fixture().training();
        for (int step = 0; step < results.size(); step++) {
            TrainingRunner.Result result = results.get(step);
            String what = run + ", step " + (step + 1);
            assertEquals(expected.losses()[step], result.loss(), LOSS_TOLERANCE, what);
            assertEquals(
                    expected.gradientNorms()[step],
                    result.gradientNorm(),
                    NORM_TOLERANCE * expected.gradientNorms()[step],
                    what);
            assertFalse(result.skipped(), what);
        }
    }

    /** Overlap, and computing attention again, change no bit; moments in bf16, too, take the same way twice. */
    @ParameterizedTest
    @MethodSource("bf16Runs")
    void isTheSameBitForBit(Run run) {
        Way way = Way.PLAIN.with(DType.BF16);
        List<Double> once = losses(run, way);
        assertEquals(once, losses(run, way.sequential()), run + ", sequential");
        assertEquals(once, losses(run, way.with(Recompute.FULL)), run + ", recomputed");
    }

    /** In f32: bf16 rounds what is kept. Microbatches share what is kept. */
    @ParameterizedTest
    @MethodSource("runs")
    void keepingAllChangesNoBit(Run run) {
        List<Double> once = losses(run, Way.PLAIN);
        assertEquals(once, losses(run, Way.PLAIN.with(Recompute.NONE)), run + ", kept");
    }

    @ParameterizedTest
    @MethodSource("bf16Runs")
    void keepingAllIsTheSameOverlapped(Run run) {
        Way way = Way.PLAIN.with(Recompute.NONE);
        assertEquals(losses(run, way), losses(run, way.sequential()), run + ", sequential");
    }

    private static List<Double> losses(Run run, Way way) {
        return results(run, SOME_STEPS, way).stream()
                .flatMap(result -> Stream.of(result.loss(), result.gradientNorm()))
                .toList();
    }

    private static List<TrainingRunner.Result> results(Run run, int count, Way way) {
        try (Steps steps = Steps.open(libraries, run, way)) {
            return steps.first(count);
        }
    }
}
