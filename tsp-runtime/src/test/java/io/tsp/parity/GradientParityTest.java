package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.parity.Fixture.Expected;
import io.tsp.parity.Fixture.Gradient;
import io.tsp.parity.Gradients.Outcome;
import io.tsp.plan.Schemes;
import io.tsp.program.Session;
import io.tsp.scheme.Recompute;
import io.tsp.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a weight, under some scheme, would learn something else than PyTorch's autograd says. */
class GradientParityTest {
    /** Of the Frobenius norm of each weight's gradient. */
    private static final double F32_TOLERANCE = 1e-4;

    /** Of PyTorch's own bf16 error. */
    private static final double BF16_FACTOR = 2;

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    private static Stream<Fixture> fixtures() {
        return Fixture.all().filter(Fixture::hasGradients);
    }

    static Stream<Run> everyFixtureAlone() {
        return fixtures().flatMap(fixture -> Run.of(fixture, Schemes.all(1, 1)));
    }

    static Stream<Run> everyScheme() {
        return Stream.of("llama3", "qwen2", "qwen3")
                .map(model -> new Fixture(model, "s203"))
                .flatMap(fixture ->
                        IntStream.of(2, 3, 4).boxed().flatMap(degree -> Run.of(fixture, Schemes.all(degree, 1))));
    }

    static Stream<Run> replicas() {
        return Stream.of("s203", "packed")
                .map(oracle -> new Fixture("llama2", oracle))
                .flatMap(fixture -> Stream.of(
                                Schemes.of("single", 1, 2),
                                Schemes.of("tsp", 2, 2),
                                Schemes.of("tp+sp:2x2", 4, 2),
                                Schemes.of("tp+sp-regions", 2, 2),
                                Schemes.of("fsdp+sp", 3, 2),
                                Schemes.of("ulysses", 2, 2))
                        .flatMap(scheme -> Run.of(fixture, List.of(scheme))));
    }

    static Stream<Run> everything() {
        return fixtures()
                .flatMap(fixture ->
                        IntStream.of(2, 3, 4).boxed().flatMap(degree -> Run.of(fixture, Schemes.all(degree, 1))));
    }

    static Stream<Run> everySchemeOnOneModel() {
        return IntStream.of(1, 2, 3, 4, 8)
                .boxed()
                .flatMap(degree -> Run.of(new Fixture("qwen3", "s203"), Schemes.all(degree, 1)));
    }

    @ParameterizedTest
    @MethodSource({"everyFixtureAlone", "everyScheme", "replicas"})
    void equalsAutograd(Run run) {
        judge(run, Gradients.of(libraries, run, Recompute.SELECTIVE, Session.Mode.OVERLAPPED));
    }

    static Stream<Run> normsAndBiases() {
        return Stream.of("qwen3", "qwen2")
                .map(model -> new Fixture(model, "s203"))
                .flatMap(fixture ->
                        IntStream.of(1, 2, 3).boxed().flatMap(degree -> Run.of(fixture, Schemes.all(degree, 1))));
    }

    @ParameterizedTest
    @MethodSource("normsAndBiases")
    void keepingAllEqualsComputingAgain(Run run) {
        judgeKept(run);
    }

    @ParameterizedTest
    @MethodSource("everything")
    @Tag("long")
    void equalsAutogradEverywhere(Run run) {
        judgeKept(run);
    }

    /** In bf16 gate and up are rounded when they are kept, and only then. */
    private static void judgeKept(Run run) {
        Outcome kept = Gradients.of(libraries, run, Recompute.NONE, Session.Mode.OVERLAPPED);
        judge(run, kept);
        Outcome recomputed = Gradients.of(libraries, run, Recompute.SELECTIVE, Session.Mode.OVERLAPPED);
        judge(run, recomputed);
        assertEquals(recomputed.loss(), kept.loss());
        if (run.dtype() == DType.F32) {
            assertTrue(kept.sameBits(recomputed), () -> run + ": keeping all changes a gradient");
        }
    }

    @ParameterizedTest
    @MethodSource("everySchemeOnOneModel")
    @Tag("long")
    void isTheSameBitForBit(Run run) {
        Outcome outcome = Gradients.of(libraries, run, Recompute.SELECTIVE, Session.Mode.OVERLAPPED);
        judge(run, outcome);
        Outcome sequential = Gradients.of(libraries, run, Recompute.SELECTIVE, Session.Mode.SEQUENTIAL);
        assertTrue(outcome.sameBits(sequential), () -> run + ": overlap changes a gradient");
        Outcome recomputed = Gradients.of(libraries, run, Recompute.FULL, Session.Mode.OVERLAPPED);
        assertTrue(outcome.sameBits(recomputed), () -> run + ": recomputing attention changes a gradient");
    }

    static void judge(Run run, Outcome outcome) {
        Expected expected = run.fixture().expected();
        Map<String, Gradient> gradients = run.fixture().gradients();
        assertEquals(gradients.keySet(), outcome.values().keySet());
        List<String> wrong = new ArrayList<>();
        gradients.forEach((name, gradient) -> {
            double error = error(gradient.values(), outcome.values().get(name));
            double allowed = run.dtype() == DType.F32 ? F32_TOLERANCE : BF16_FACTOR * gradient.bf16Error();
            if (!(error <= allowed)) {
                wrong.add(String.format("%n%s: error %.2e, allowed %.2e", name, error, allowed));
            }
        });
        assertEquals(List.of(), wrong, () -> run.toString());
        if (run.dtype() == DType.F32) {
            assertEquals(expected.loss(), outcome.loss(), F32_TOLERANCE);
        }
    }

    /** Frobenius norm of the difference, as a share of the expected gradient's. */
    private static double error(float[] expected, float[] actual) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < expected.length; i++) {
            double d = (double) actual[i] - expected[i];
            difference += d * d;
            norm += (double) expected[i] * expected[i];
        }
        return Math.sqrt(difference / norm);
    }
}
