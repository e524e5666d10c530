package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.tsp.data.TokenBatch;
import io.tsp.ffm.NativeException;
import io.tsp.parity.Fixture.Expected;
import io.tsp.parity.Forward.Outcome;
import io.tsp.plan.Schemes;
import io.tsp.program.Session;
import io.tsp.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that a model, under some scheme, is another function than transformers makes of the same files. */
class ParityTest {
    /** Of the largest logit; transformers' own f32 run is within 3.2e-6 of float64. */
    private static final double F32_TOLERANCE = 1e-4;

    /** Worlds beyond this size are run overlapped only: what may overlap is the same. */
    private static final int MOST_RANKS_SEQUENTIAL = 3;

    /** Of transformers' own bf16 error. */
    private static final double BF16_FACTOR = 2;

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    static Stream<Run> everyFixtureAlone() {
        return Fixture.all().flatMap(fixture -> Run.of(fixture, Schemes.all(1, 1)));
    }

    static Stream<Run> everyScheme() {
        return Stream.of("llama3", "odd", "qwen3")
                .map(model -> new Fixture(model, "s203"))
                .flatMap(fixture ->
                        IntStream.of(2, 3, 4).boxed().flatMap(degree -> Run.of(fixture, Schemes.all(degree, 1))));
    }

    static Stream<Run> replicas() {
        return Stream.of("s203", "packed")
                .map(oracle -> new Fixture("llama2", oracle))
                .flatMap(fixture -> IntStream.of(2, 3)
                        .boxed()
                        .flatMap(dp -> Stream.of(
                                        Schemes.all(1, dp),
                                        List.of(Schemes.of("tsp", 2, dp), Schemes.of("tp+sp:2x2", 4, dp)),
                                        List.of(Schemes.of("fsdp+sp", 3, dp), Schemes.of("ulysses", 2, dp)))
                                .flatMap(schemes -> Run.of(fixture, schemes))));
    }

    static Stream<Run> everything() {
        return Fixture.all()
                .flatMap(fixture ->
                        IntStream.of(1, 2, 3, 4, 8).boxed().flatMap(degree -> Run.of(fixture, Schemes.all(degree, 1))));
    }

    @ParameterizedTest
    @MethodSource({"everyFixtureAlone", "everyScheme", "replicas"})
    void equalsTransformers(Run run) {
        judge(run, libraries, Session.Mode.OVERLAPPED);
    }

    @ParameterizedTest
    @MethodSource("everything")
    @Tag("long")
    void equalsTransformersEverywhere(Run run) {
        Outcome overlapped = judge(run, libraries, Session.Mode.OVERLAPPED);
        if (run.scheme().mesh().worldSize() > MOST_RANKS_SEQUENTIAL) {
            return;
        }
        Outcome sequential = judge(run, libraries, Session.Mode.SEQUENTIAL);
        assertTrue(
                overlapped.sameBits(sequential),
                () -> run + ": overlap changes logit " + overlapped.mismatch(sequential));
    }

    @ParameterizedTest
    @ValueSource(strings = {"avx512bf16", "avx512", "avx2", "portable"})
    void everyInstructionSetEqualsTransformers(String isa) {
        assumeFalse(Libraries.onGpus(), "instruction sets are the CPU's");
        try (Libraries lower = Libraries.load(isa)) {
            Stream<Run> alone = Fixture.all()
                    .filter(fixture -> fixture.oracle().equals("s203"))
                    .flatMap(fixture -> Run.of(fixture, Schemes.all(1, 1)));
            Stream<Run> together = Run.of(new Fixture("mistral", "packed"), Schemes.all(3, 1));
            Stream.concat(alone, together).forEach(run -> judge(run, lower, Session.Mode.OVERLAPPED));
        } catch (NativeException e) {
            abort(e.getMessage());
        }
    }

    /** What transformers 4 and 5 write says the same in other words. */
    @ParameterizedTest
    @MethodSource("models")
    void readsTheConfigurationOfTransformers4(Fixture fixture, @TempDir Path copy) throws IOException {
        try (Stream<Path> files = Files.list(fixture.directory())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
        }
        Files.move(
                copy.resolve("config.transformers4.json"),
                copy.resolve("config.json"),
                StandardCopyOption.REPLACE_EXISTING);
        Run run = new Run(fixture, Schemes.of("single", 1, 1), DType.F32);
        Outcome five = Forward.once(libraries, run, Session.Mode.OVERLAPPED);
        try (Forward forward = Forward.open(libraries, run, copy, Session.Mode.OVERLAPPED)) {
            Outcome four = forward.run();
            assertTrue(four.sameBits(five), () -> fixture + ": logit " + four.mismatch(five) + " differs");
        }
    }

    static Stream<Fixture> models() {
        return Fixture.all().filter(fixture -> fixture.oracle().equals("s203"));
    }

    static Outcome judge(Run run, Libraries libraries, Session.Mode mode) {
        Outcome outcome = Forward.once(libraries, run, mode);
        Expected expected = run.fixture().expected();
        TokenBatch tokens = run.fixture().tokens();
        double limit =
                run.dtype() == DType.F32 ? F32_TOLERANCE * expected.largest() : BF16_FACTOR * expected.bf16Error();
        assertEquals(expected.logits().length, outcome.logits().length);
        for (int i = 0; i < outcome.logits().length; i++) {
            int at = i;
            assertEquals(expected.logits()[i], outcome.logits()[i], limit, () -> run + ", " + mode + ": logit " + at);
        }
        assertEquals(tokens.labelCount(), outcome.tokens(), () -> run + ": labels that count");
        if (outcome.tokens() > 0) {
            // A logit that is off by limit moves the log-sum-exp and the label's logit by no more than that.
            assertEquals(expected.loss(), outcome.loss(), 2 * limit, () -> run + ", " + mode + ": loss");
            LossOfLogits own = LossOfLogits.of(outcome.logits(), tokens.labels());
            assertEquals(
                    own.mean(), outcome.loss(), own.rounding(), () -> run + ", " + mode + ": loss of its own logits");
        }
        return outcome;
    }
}
