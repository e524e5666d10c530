package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.Parameter.Block;
import io.tsp.model.WeightShapes;
import io.tsp.parity.Steps.Way;
import io.tsp.plan.Schemes;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingProgram.State;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Tensor;
import io.tsp.train.TrainingPlan;
import io.tsp.train.TrainingRunner;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that dividing the optimizer between ranks changes what is learned, or saves no memory. */
class ShardedOptimizerTest {
    private static final int STEPS = 3;
    /** Slots begin at multiples of this many bytes. */
    private static final long ALIGNMENT = 256;

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    private static Stream<Scheme> schemes() {
        return Stream.of(
                Schemes.of("single", 1, 2),
                Schemes.of("sp", 2, 1),
                Schemes.of("sp", 4, 1),
                Schemes.of("tsp", 2, 2),
                Schemes.of("tp", 2, 2),
                Schemes.of("tp+sp:2x2", 4, 1),
                Schemes.of("fsdp+sp", 2, 2),
                Schemes.of("ulysses", 3, 1));
    }

    static Stream<Run> runs() {
        return Stream.of("llama2", "file-bf16")
                .flatMap(model -> schemes().flatMap(scheme -> Run.of(Fixture.training(model), List.of(scheme))));
    }

    /** What some steps leave behind: losses and norms, the optimizer's state by weight and kind, the weights. */
    private record Outcome(List<Double> numbers, Map<String, float[]> states, List<ByteBuffer> weights) {}

    private static Outcome outcome(Run run, Way way) {
        try (Steps steps = Steps.open(libraries, run, way)) {
            List<Double> numbers = new ArrayList<>();
            for (TrainingRunner.Result result : steps.first(STEPS)) {
                assertFalse(result.skipped());
                numbers.add(result.loss());
                numbers.add(result.gradientNorm());
            }
            Map<String, float[]> states = new TreeMap<>();
            collect(steps.runner(), "master", State::parameter, states);
            collect(steps.runner(), "first moment", State::first, states);
            collect(steps.runner(), "second moment", State::second, states);
            return new Outcome(numbers, states, steps.weights());
        }
    }

    /** Puts each weight's state together from its owners; an element that two of them have, or none, is a failure. */
    private static void collect(
            TrainingRunner runner, String kind, Function<State, Tensor> part, Map<String, float[]> states) {
        Map<String, Shape> shapes =
                WeightShapes.of(runner.plan().request().forward().config());
        shapes.forEach((name, shape) -> {
            float[] missing = new float[Math.toIntExact(shape.count())];
            Arrays.fill(missing, Float.NaN);
            states.put(kind + " of " + name, missing);
        });
        for (int rank : runner.session().localRanks()) {
            for (State state : runner.plan().programs().get(rank).update().states()) {
                String name = state.block().name();
                if (state.owner()) {
                    long columns =
                            shapes.get(name).rank() == 1 ? 1 : shapes.get(name).last();
                    FloatBuffer values = runner.read(rank, part.apply(state)).asFloatBuffer();
                    place(values, state.block(), columns, states.get(kind + " of " + name));
                }
            }
        }
        states.forEach((name, values) -> {
            for (float value : values) {
                assertFalse(Float.isNaN(value), () -> name + " has an element that no rank saves");
            }
        });
    }

    private static void place(FloatBuffer source, Block block, long columns, float[] target) {
        for (long row = block.rows().from(); row < block.rows().to(); row++) {
            int first = Math.toIntExact(row * columns + block.columns().from());
            int count = Math.toIntExact(block.columns().count());
            for (int i = first; i < first + count; i++) {
                assertTrue(Float.isNaN(target[i]), () -> block + " is saved by two ranks");
                target[i] = source.get();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("runs")
    void changesNoBit(Run run) {
        Outcome whole = outcome(run, Way.PLAIN);
        Outcome divided = outcome(run, Way.PLAIN.sharded());
        assertSame(whole, divided, run.toString());
        assertSame(divided, outcome(run, Way.PLAIN.sharded().sequential()), run + ", sequential");
    }

    private static void assertSame(Outcome expected, Outcome actual, String what) {
        assertEquals(expected.numbers(), actual.numbers(), what);
        expected.states()
                .forEach((name, values) ->
                        assertArrayEquals(values, actual.states().get(name), what + ", " + name));
        assertEquals(expected.states().keySet(), actual.states().keySet(), what);
        assertEquals(expected.weights(), actual.weights(), what);
    }

    /** Ranks that each hold all weights, and how many they are. */
    static Stream<Scheme> replicas() {
        return Stream.of(
                Schemes.of("single", 1, 2), Schemes.of("single", 1, 3), Schemes.of("sp", 4, 1), Schemes.of("sp", 2, 2));
    }

    @ParameterizedTest
    @MethodSource("replicas")
    void keepsItsShareOnEachRank(Scheme scheme) {
        Run run = new Run(Fixture.training("llama2"), scheme, DType.BF16);
        int ranks = scheme.mesh().worldSize();
        try (Steps whole = Steps.open(libraries, run, Way.PLAIN);
                Steps divided = Steps.open(libraries, run, Way.PLAIN.sharded())) {
            long shared = 0;
            for (int rank = 0; rank < ranks; rank++) {
                long before = optimizerBytes(whole, rank);
                long after = optimizerBytes(divided, rank);
                long allowed = before / ranks + roundingBytes(whole.runner().plan());
                assertTrue(after <= allowed, run + ": " + after + " bytes of " + before + " on rank " + rank);
                shared += elements(divided.runner().plan(), rank);
            }
            assertEquals(elements(whole.runner().plan(), 0), shared, run.toString());
        }
    }

    /** Rows may not divide evenly, and slots are aligned: a row and a slot's alignment for each of three kinds. */
    private static long roundingBytes(TrainingPlan plan) {
        return plan.programs().getFirst().update().states().stream()
                .mapToLong(state -> 3 * (state.block().columns().count() * Float.BYTES + ALIGNMENT))
                .sum();
    }

    private static long optimizerBytes(Steps steps, int rank) {
        return steps.runner().session().plan(rank).arenaBytes().get(MemoryClass.OPTIMIZER);
    }

    private static long elements(TrainingPlan plan, int rank) {
        return plan.programs().get(rank).update().states().stream()
                .mapToLong(state -> state.parameter().count())
                .sum();
    }
}
