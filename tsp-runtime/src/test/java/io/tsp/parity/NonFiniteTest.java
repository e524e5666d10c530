package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.parity.Steps.Way;
import io.tsp.plan.Schemes;
import io.tsp.program.NonFinite;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.train.TrainingRunner;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a step with NaN or an infinity is not noticed, changes weights, or is blamed on something else. */
class NonFiniteTest {
    private static final String UP = "model.layers.1.mlp.up_proj.weight";
    private static final String NORM = "model.layers.1.post_attention_layernorm.weight";

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    static Stream<Scheme> schemes() {
        return Stream.of(
                Schemes.of("single", 1, 1),
                Schemes.of("tsp", 3, 1),
                Schemes.of("tp", 2, 1),
                Schemes.of("tp+sp-regions", 2, 1),
                Schemes.of("sp", 2, 1),
                Schemes.of("tp+sp:2x2", 4, 1),
                Schemes.of("fsdp+sp", 3, 1),
                Schemes.of("ulysses", 3, 1),
                Schemes.of("tsp", 2, 2));
    }

    private static Steps steps(Scheme scheme, String name, float factor) {
        return steps(scheme, name, factor, Way.PLAIN);
    }

    private static Steps steps(Scheme scheme, String name, float factor, Way way) {
        Fixture fixture = Fixture.training("llama2");
        return Steps.open(
                libraries,
                new Run(fixture, scheme, DType.F32),
                new DamagedWeights(ModelDirectory.open(fixture.directory()), name, factor),
                way);
    }

    @ParameterizedTest
    @MethodSource("schemes")
    void nothingIsFoundInASoundStep(Scheme scheme) {
        try (Steps steps = steps(scheme, UP, 1)) {
            assertFalse(steps.next().skipped());
            assertEquals(List.of(), steps.runner().session().findNonFinite());
        }
    }

    @ParameterizedTest
    @MethodSource("schemes")
    void aWeightIsNamed(Scheme scheme) {
        try (Steps steps = steps(scheme, NORM, Float.NaN)) {
            assertSkipped(steps);
            NonFinite first = steps.runner().session().findNonFinite().getFirst();
            assertEquals(-1, first.step(), first.toString());
            assertEquals(NORM, first.tensor());
            assertTrue(Double.isNaN(first.value()));
        }
    }

    /** The weights are finite, and what the MLP of layer 1 makes of them is not. */
    @ParameterizedTest
    @MethodSource("schemes")
    void anOverflowIsNamedWhereItComesUp(Scheme scheme) {
        try (Steps steps = steps(scheme, NORM, 1e38f)) {
            assertSkipped(steps);
            NonFinite first = steps.runner().session().findNonFinite().getFirst();
            assertTrue(first.step() >= 0, first.toString());
            assertTrue(first.where().contains("(layer 1 mlp"), first.toString());
        }
    }

    /** Also where new weights are gathered: what was not updated must not be taken for it. */
    @ParameterizedTest
    @MethodSource("schemes")
    void aSkippedStepLeavesTheWeights(Scheme scheme) {
        for (Way way : List.of(Way.PLAIN, Way.PLAIN.sharded())) {
            try (Steps steps = steps(scheme, NORM, 1e38f, way)) {
                List<ByteBuffer> before = steps.weights();
                assertSkipped(steps);
                assertEquals(before, steps.weights(), way.toString());
            }
        }
    }

    private static void assertSkipped(Steps steps) {
        TrainingRunner.Result result = steps.next();
        assertTrue(result.skipped());
    }
}
