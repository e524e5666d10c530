package io.tsp.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.cost.HardwareProfile;
import io.tsp.model.ModelConfig;
import io.tsp.model.Presets;
import io.tsp.program.Lane;
import io.tsp.program.Program;
import io.tsp.program.Session.Mode;
import io.tsp.program.SimulatedStep;
import io.tsp.program.Simulator;
import io.tsp.program.Step;
import io.tsp.program.Trace;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import io.tsp.tensor.SystemClock;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that schemes in simulated time do not behave as schemes do. */
class SimulatedSchemesTest {
    private static final HardwareProfile MI300X = HardwareProfile.of("mi300x");

    private static TrainingRequest training(String preset, int layers, long batch, long seq) {
        ModelConfig c = Presets.of(preset);
        ModelConfig config = new ModelConfig(
                c.family(),
                c.hidden(),
                c.intermediate(),
                layers,
                c.heads(),
                c.kvHeads(),
                c.headDim(),
                c.vocab(),
                c.normEpsilon(),
                c.maxPositions(),
                c.qkvBias(),
                c.qkNorm(),
                c.tiedEmbeddings(),
                c.window(),
                c.windowFromLayer(),
                c.rope());
        ForwardRequest forward = new ForwardRequest(config, DType.BF16, batch, seq, false, false);
        return new TrainingRequest(forward, 1, Recompute.SELECTIVE, DType.F32, true, true);
    }

    private static SimulatedStep simulate(Scheme scheme, TrainingRequest request) {
        return new Simulator(MI300X).run(Replica.training(scheme, request), Mode.OVERLAPPED);
    }

    /** What one rank does alone is the same mathematics under every name, but for copies that some schemes make. */
    @ParameterizedTest
    @ValueSource(strings = {"tsp", "tp", "sp", "tp+sp-regions", "fsdp+sp", "ulysses"})
    void oneRankIsSingle(String name) {
        TrainingRequest request = training("tsp-7b", 2, 1, 16_384);
        SimulatedStep single = simulate(Schemes.of("single", 1, 1), request);
        SimulatedStep one = simulate(Schemes.of(name, 1, 1), request);
        assertEquals(0, one.parts(0).exposedSeconds());
        assertEquals(0, one.parts(0).skewSeconds());
        for (String op : List.of("gemm", "attention", "attention-backward", "gated-mlp", "gated-mlp-backward")) {
            assertEquals(nanos(single, op), nanos(one, op), op);
        }
        assertEquals(single.ranks().getFirst().flops(), one.ranks().getFirst().flops());
        assertEquals(withoutCopies(single), withoutCopies(one), single.seconds() / 200);
    }

    private static double withoutCopies(SimulatedStep step) {
        return step.seconds() - nanos(step, "copy") / 1e9;
    }

    private static long nanos(SimulatedStep step, String op) {
        return step.ranks().getFirst().computeNanosByOp().getOrDefault(op, 0L);
    }

    /** Replicas do the same at the same time, so one of them says it all. */
    @ParameterizedTest
    @ValueSource(strings = {"tsp", "tp", "fsdp+sp", "ulysses", "tp+sp:2x2"})
    void oneReplicaSpeaksForAll(String name) {
        Scheme scheme = Schemes.of(name, 4, 4);
        TrainingRequest request = training("tsp-7b", 1, 4, 8192);
        List<Program> programs = IntStream.range(0, 16)
                .mapToObj(rank -> scheme.training(request, rank).model().program())
                .toList();
        SimulatedStep all = new Simulator(MI300X).run(programs, Mode.OVERLAPPED);
        SimulatedStep one = simulate(scheme, request);
        for (int rank = 0; rank < 4; rank++) {
            Trace of16 = all.traces().get(rank);
            Trace of4 = one.traces().get(rank);
            for (Step step : of4.schedule().program().steps()) {
                assertEquals(of16.spans().get(step.index()), of4.spans().get(step.index()), step::toString);
            }
        }
        assertEquals(all.seconds(), one.seconds());
    }

    /** One device takes k times as long for everything: so does the step, for no rank can go ahead. */
    @Test
    void slowRankHoldsUpAll() {
        TrainingRequest request = training("tsp-7b", 2, 8, 32_768);
        List<Program> programs = Replica.training(Schemes.of("tsp", 8, 1), request);
        Simulator simulator = new Simulator(MI300X);
        SimulatedStep even = simulator.run(programs, Mode.OVERLAPPED);
        SimulatedStep slow = simulator.withSlowRank(5, 2).run(programs, Mode.OVERLAPPED);
        double compute = even.parts(5).computeSeconds();
        assertTrue(slow.seconds() >= 2 * compute);
        assertTrue(slow.seconds() <= even.seconds() + compute);
        assertTrue(slow.parts(0).skewSeconds() > 0.6 * compute, slow.parts(0) + " against " + compute);
    }

    /** Zigzag order and folding leave nobody with more to do. */
    @Test
    void ranksOfTspAreEven() {
        SimulatedStep step = simulate(Schemes.of("tsp", 8, 1), training("tsp-7b", 2, 8, 32_768));
        double first = step.parts(0).computeSeconds();
        for (int rank = 0; rank < 8; rank++) {
            assertEquals(first, step.parts(rank).computeSeconds(), first / 200);
        }
    }

    /** On a mesh a ring has one link of seven, on a switch the whole port: the same program tells them apart. */
    @Test
    void ringIsExposedOnMeshOnly() {
        List<Program> programs = Replica.training(Schemes.of("tsp", 8, 1), training("tsp-7b", 2, 1, 32_768));
        SimulatedStep mesh = new Simulator(MI300X).run(programs, Mode.OVERLAPPED);
        SimulatedStep port = new Simulator(HardwareProfile.of("h200")).run(programs, Mode.OVERLAPPED);
        double onMesh = exposedWeights(mesh) / mesh.seconds();
        double onSwitch = exposedWeights(port) / port.seconds();
        assertTrue(onMesh > 10 * onSwitch && onMesh > 0.1, onMesh + ", " + onSwitch);
    }

    private static double exposedWeights(SimulatedStep step) {
        var exposed = step.parts(0).exposedTransferSeconds();
        return exposed.getOrDefault(Lane.WEIGHTS, 0.0) + exposed.getOrDefault(Lane.GRADS, 0.0);
    }

    /** 8 ranks of the whole model, and 8 of 4,096, in a time in which a planner can ask many such questions. */
    @Test
    void thousandsOfRanksTakeSeconds() {
        Scheme scheme = Schemes.of("tsp", 8, 512);
        TrainingRequest request = training("tsp-7b", 32, 512, 131_072);
        long begin = SystemClock.nanos();
        List<Program> programs = Replica.training(scheme, request);
        long built = SystemClock.nanos();
        SimulatedStep step = new Simulator(MI300X).run(programs, Mode.OVERLAPPED);
        long end = SystemClock.nanos();
        String times = "built in " + (built - begin) / 1_000_000 + " ms, run in " + (end - built) / 1_000_000 + " ms: "
                + step.seconds() + " s, " + step.parts(0);
        assertTrue(step.seconds() > 1 && step.seconds() < 1000, times);
        assertTrue(end - begin < 60_000_000_000L, times);
        if (Boolean.getBoolean("tsp.test.times")) {
            throw new AssertionError(times);
        }
    }
}
