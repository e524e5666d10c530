package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.parity.Forward.Outcome;
import io.tsp.parity.Steps.Way;
import io.tsp.plan.Schemes;
import io.tsp.program.NonFinite;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.train.TrainingRunner;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Fake GPUs run the CPU's kernels, late at random and in no order but that of streams and events. A failure means that
 * ranks on GPUs do not wait for what they need, or that a device gives back less than it took.
 */
class GpuBitIdentityTest {
    private static final String NORM = "model.layers.1.post_attention_layernorm.weight";

    @RegisterExtension
    private static final HostLibraries libraries = HostLibraries.load(null);

    static Stream<Scheme> schemes() {
        return Stream.concat(
                Schemes.all(3, 1).stream(), Stream.of(Schemes.of("single", 1, 1), Schemes.of("tsp", 2, 2)));
    }

    @ParameterizedTest
    @MethodSource("schemes")
    void forwardGivesTheBitsOfTheCpu(Scheme scheme) {
        Run run = new Run(new Fixture("qwen3", "s203"), scheme, DType.F32);
        Outcome expected = Forward.once(libraries, run, Session.Mode.SEQUENTIAL);
        for (Session.Mode mode : Session.Mode.values()) {
            Forward forward = Forward.open(libraries.onGpus(2), run, mode);
            try (forward) {
                for (int i = 0; i < 2; i++) {
                    Outcome found = forward.run();
                    assertTrue(
                            found.sameBits(expected),
                            () -> run + ", " + mode + ": loss " + found.loss() + ", not " + expected.loss());
                }
            }
            assertEquals("0 streams, 0 events, 0 blocks", forward.ranks().leaks());
        }
    }

    @ParameterizedTest
    @MethodSource("schemes")
    void trainingGivesTheBitsOfTheCpu(Scheme scheme) {
        Run run = new Run(Fixture.training("llama2"), scheme, DType.BF16);
        try (Steps cpu = Steps.open(libraries, run, Way.PLAIN);
                Steps gpu = Steps.open(libraries.onGpus(2), run, Way.PLAIN)) {
            for (int step = 0; step < 2; step++) {
                TrainingRunner.Result expected = cpu.next();
                TrainingRunner.Result found = gpu.next();
                assertEquals(expected.loss(), found.loss());
                List<ByteBuffer> weights = gpu.weights();
                assertEquals(cpu.weights(), weights);
            }
        }
    }

    /** The host reads each result behind its op, while other lanes go on. */
    @Test
    void anOverflowIsNamedWhereItComesUp() {
        Fixture fixture = Fixture.training("llama2");
        try (Steps steps = Steps.open(
                libraries.onGpus(2),
                new Run(fixture, Schemes.of("tsp", 3, 1), DType.F32),
                new DamagedWeights(ModelDirectory.open(fixture.directory()), NORM, 1e38f),
                Way.PLAIN)) {
            assertTrue(steps.next().skipped());
            NonFinite first = steps.runner().session().findNonFinite().getFirst();
            assertTrue(first.step() >= 0, first.toString());
            assertTrue(first.where().contains("(layer 1 mlp"), first.toString());
        }
    }

    /** Steps of a lane follow each other, and exchanges begin when the last peer has come. */
    @Test
    void tracesAreInOrder() {
        Run run = new Run(new Fixture("qwen3", "s203"), Schemes.of("tsp", 3, 1), DType.F32);
        try (Forward forward = Forward.open(libraries.onGpus(2), run, Session.Mode.OVERLAPPED)) {
            for (Trace trace : forward.traces()) {
                for (Trace.Span span : trace.spans()) {
                    assertTrue(span.ready() <= span.end() && span.start() <= span.end(), span.toString());
                    assertTrue(span.peersArrived() <= span.end(), span.toString());
                }
                assertTrue(trace.nanos() > 0 && trace.nanos() < 60_000_000_000L);
                assertTrue(trace.exposedTransferNanos() + trace.skewNanos() <= trace.nanos());
                assertTrue(trace.spans().stream().anyMatch(span -> span.peersArrived() > 0));
            }
        }
    }
}
