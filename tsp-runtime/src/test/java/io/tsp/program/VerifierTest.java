package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelConfig;
import io.tsp.model.Presets;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.gathered.GatheredScheme;
import io.tsp.scheme.gathered.GatheredScheme.Kind;
import io.tsp.scheme.tpsp.TpSpScheme;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a right program is refused, or that a scheme emits a wrong one. */
class VerifierTest {
    private static final Map<Lane, Long> WORKSPACES = Map.of(Lane.COMPUTE, 1000L, Lane.KV, 300L);

    static Stream<Scheme> schemes() {
        List<Scheme> schemes = new ArrayList<>();
        for (int dp = 1; dp <= 2; dp++) {
            for (int degree : new int[] {1, 2, 3, 4, 8}) {
                schemes.add(new TspScheme(degree, dp));
                schemes.add(new GatheredScheme(Kind.FSDP_SP, degree, dp));
                schemes.add(new GatheredScheme(Kind.ULYSSES, degree, dp));
            }
            for (int degree : new int[] {2, 3, 5}) {
                schemes.add(new TpSpScheme("tp", degree, 1, dp, false));
                schemes.add(new TpSpScheme("tp+sp-regions", degree, 1, dp, true));
                schemes.add(new TpSpScheme("sp", 1, degree, dp, false));
            }
            schemes.add(new TpSpScheme("tp+sp:2x2", 2, 2, dp, false));
            schemes.add(new TpSpScheme("tp+sp:3x2", 3, 2, dp, true));
            schemes.add(TpSpScheme.single(dp));
        }
        return schemes.stream();
    }

    @ParameterizedTest
    @MethodSource("schemes")
    void acceptsEveryScheme(Scheme scheme) {
        for (ModelConfig config : List.of(Requests.PLAIN, Requests.FULL)) {
            verify(scheme, Requests.of(config, 1, 203));
            verify(scheme, Requests.of(config, 3, 3));
            verify(scheme, new ForwardRequest(config, DType.BF16, 2, 64, true, false));
        }
    }

    private static void verify(Scheme scheme, ForwardRequest request) {
        World world = World.of(scheme, request);
        world.verify();
        world.schedules().forEach(VerifierTest::verifyPlan);
        List<Schedule> sequential = world.schedules().stream()
                .map(schedule -> Schedule.sequential(schedule.program()))
                .toList();
        Verifier.verify(sequential);
        sequential.forEach(VerifierTest::verifyPlan);
    }

    private static void verifyPlan(Schedule schedule) {
        Verifier.verifyPlan(schedule, MemoryPlan.of(schedule, WORKSPACES), WORKSPACES);
    }

    @Test
    void staysFastWhereProgramsAreLong() {
        ForwardRequest request = new ForwardRequest(Presets.of("llama-70b"), DType.BF16, 1, 131_072, false, false);
        World world = World.of(new TspScheme(8, 1), request);
        int steps = world.schedules().stream()
                .mapToInt(schedule -> schedule.program().steps().size())
                .sum();
        assertTrue(steps > 40_000, () -> "only " + steps + " steps");
        assertTimeout(Duration.ofSeconds(20), world::verify);
    }
}
