package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.parity.Forward.Outcome;
import io.tsp.plan.Schemes;
import io.tsp.program.Session;
import io.tsp.tensor.DType;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that timing decides a result: a wait is missing, memory is shared too early, or a sum has no order. */
class BitIdentityTest {
    private static final int RUNS = 3;
    private static final int SESSIONS = 2;

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    static Stream<Run> runs() {
        return IntStream.of(1, 3, 4)
                .boxed()
                .flatMap(degree -> Schemes.all(degree, 1).stream()
                        .flatMap(scheme -> Stream.of(
                                new Run(new Fixture("qwen3", "s203"), scheme, DType.F32),
                                new Run(new Fixture("mistral", "packed"), scheme, DType.BF16))));
    }

    static Stream<Run> replicas() {
        return Stream.of(Schemes.of("tsp", 2, 2), Schemes.of("tp", 2, 3))
                .flatMap(scheme -> Run.of(new Fixture("llama2", "packed"), List.of(scheme)));
    }

    @ParameterizedTest
    @MethodSource({"runs", "replicas"})
    void everyRunGivesTheSameBits(Run run) {
        Outcome sequential = Forward.once(libraries, run, Session.Mode.SEQUENTIAL);
        for (int session = 0; session < SESSIONS; session++) {
            try (Forward forward = Forward.open(libraries, run, Session.Mode.OVERLAPPED)) {
                for (int i = 0; i < RUNS; i++) {
                    requireSame(run, i, sequential, forward.run());
                }
            }
        }
    }

    private static void requireSame(Run run, int index, Outcome sequential, Outcome overlapped) {
        assertTrue(
                overlapped.sameBits(sequential),
                () -> run + ": run " + index + " with overlap has loss " + overlapped.loss() + ", the sequential one "
                        + sequential.loss() + "; first other logit " + overlapped.mismatch(sequential));
    }
}
