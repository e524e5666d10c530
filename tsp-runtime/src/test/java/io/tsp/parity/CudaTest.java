package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tsp.parity.Steps.Way;
import io.tsp.plan.Schemes;
import io.tsp.program.Session;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.train.TrainingRunner;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The kernels for NVIDIA GPUs, on such GPUs if the tests run there, else on the emulator of CUDA, whose streams wait for
 * each other only where they were told to. A failure means that ranks on GPUs compute something else than PyTorch, or
 * that timing decides what they compute.
 */
class CudaTest {
    private static final int STEPS = 2;

    private static Libraries libraries;

    /** With the kernels of an earlier GPU, where the tests can choose. */
    private static Libraries earlier;

    @BeforeAll
    static void load() {
        if (Libraries.onGpus()) {
            libraries = Libraries.load(null);
            earlier = libraries;
        } else {
            assumeTrue(
                    System.getProperty("os.arch").equals("amd64"),
                    "the emulator of CUDA switches stacks with x86-64 instructions");
            libraries = Libraries.emulated("sm_90a");
            earlier = Libraries.emulated("sm_80");
        }
    }

    private static Stream<Run> runs(DType dtype, int degree) {
        return Schemes.all(degree, 1).stream().map(scheme -> new Run(new Fixture("qwen3", "s203"), scheme, dtype));
    }

    /** What is slow to emulate takes turns. */
    static Stream<Run> forwards() {
        return Stream.of(runs(DType.BF16, 1), runs(DType.F32, 2), runs(DType.BF16, 3))
                .flatMap(runs -> runs);
    }

    static Stream<Run> backwards() {
        return Stream.of(
                        runs(DType.F32, 1),
                        runs(DType.BF16, 2),
                        runs(DType.F32, 3).filter(run -> run.scheme().name().equals("tsp")))
                .flatMap(runs -> runs);
    }

    static Stream<Run> everything() {
        return IntStream.of(1, 2, 4, 8)
                .boxed()
                .flatMap(degree -> Run.of(new Fixture("qwen3", "s203"), Schemes.all(degree, 1)));
    }

    @ParameterizedTest
    @MethodSource("forwards")
    void forwardEqualsTransformers(Run run) {
        boolean three = run.scheme().mesh().worldSize() == 3;
        ParityTest.judge(run, three ? earlier : libraries, Session.Mode.OVERLAPPED);
    }

    @ParameterizedTest
    @MethodSource("backwards")
    void gradientsEqualAutograd(Run run) {
        Gradients.Outcome overlapped = gradients(run, Session.Mode.OVERLAPPED);
        GradientParityTest.judge(run, overlapped);
        if (!Libraries.onGpus() && !run.scheme().name().equals("tsp")) {
            return; // takes too long on the emulator; GpuBitIdentityTest has every scheme on another stand-in
        }
        assertTrue(
                overlapped.sameBits(gradients(run, Session.Mode.SEQUENTIAL)),
                () -> run + ": overlap changes a gradient");
    }

    @ParameterizedTest
    @MethodSource("everything")
    @Tag("long")
    void everySchemeIsRightForwardAndBackward(Run run) {
        assumeTrue(Libraries.onGpus(), "takes too long on the emulator; scripts/gpu-check runs it");
        Forward.Outcome overlapped = ParityTest.judge(run, libraries, Session.Mode.OVERLAPPED);
        Forward.Outcome sequential = Forward.once(libraries, run, Session.Mode.SEQUENTIAL);
        assertTrue(
                overlapped.sameBits(sequential),
                () -> run + ": overlap changes logit " + overlapped.mismatch(sequential));
        gradientsEqualAutograd(run);
    }

    private static Gradients.Outcome gradients(Run run, Session.Mode mode) {
        return Gradients.of(libraries, run, Recompute.SELECTIVE, mode);
    }

    static Stream<Scheme> trained() {
        return Stream.of(Schemes.of("tsp", 2, 2));
    }

    @ParameterizedTest
    @MethodSource("trained")
    void trainingGoesAsPyTorchGoes(Scheme scheme) {
        Run run = new Run(Fixture.training("llama2"), scheme, DType.F32);
        List<TrainingRunner.Result> overlapped = steps(run, Way.PLAIN);
        TrainingParityTest.judge(run, overlapped);
        List<TrainingRunner.Result> sequential = steps(run, Way.PLAIN.sequential());
        for (int step = 0; step < STEPS; step++) {
            assertEquals(overlapped.get(step).loss(), sequential.get(step).loss(), run.toString());
            assertEquals(
                    overlapped.get(step).gradientNorm(), sequential.get(step).gradientNorm(), run.toString());
        }
    }

    private static List<TrainingRunner.Result> steps(Run run, Way way) {
        try (Steps steps = Steps.open(libraries, run, way)) {
            return steps.first(STEPS);
        }
    }
}
