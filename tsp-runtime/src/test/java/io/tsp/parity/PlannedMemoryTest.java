package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.op.Access;
import io.tsp.parity.Steps.Way;
import io.tsp.plan.Schemes;
import io.tsp.program.MemoryPlan;
import io.tsp.program.Program;
import io.tsp.program.Session;
import io.tsp.program.Step;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A failure means that a rank reserves bytes it does not need, or uses bytes that the plan gave to nobody.
 *
 * <p>An arena's high-water mark is the end of the last byte that was written. It is known before the run: the plan says
 * where slots lie, the program how much of each is written. Only workspaces, which lie at the end of the transient
 * arena, are as full as a kernel pleases.
 */
class PlannedMemoryTest {
    /** Of slots; what is behind the last one is reserved and never touched. */
    private static final long ALIGNMENT = 256;

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    static Stream<Run> runs() {
        return IntStream.of(1, 2, 3, 4, 8)
                .boxed()
                .flatMap(degree -> Schemes.all(degree, 1).stream()
                        .flatMap(scheme -> Stream.of(
                                new Run(new Fixture("odd", "s203"), scheme, DType.F32),
                                new Run(new Fixture("qwen2", "s203"), scheme, DType.BF16))));
    }

    static Stream<Run> steps() {
        Stream<Scheme> replicas = Stream.of("single", "tsp", "tp", "fsdp+sp")
                .map(name -> Schemes.of(name, name.equals("single") ? 1 : 2, 2));
        Stream<Scheme> schemes = IntStream.of(1, 2, 3, 4, 8).boxed().flatMap(degree -> Schemes.all(degree, 1).stream());
        return Stream.concat(schemes, replicas).map(scheme -> new Run(Fixture.training("llama2"), scheme, DType.BF16));
    }

    @ParameterizedTest
    @MethodSource("runs")
    void isTouchedAsPlanned(Run run) {
        try (Forward forward = Forward.open(libraries, run, Session.Mode.OVERLAPPED)) {
            forward.run();
            for (int rank : forward.session().localRanks()) {
                judge(run, forward.session(), forward.program(rank), rank);
            }
        }
    }

    static Stream<Arguments> ways() {
        return Stream.of(Way.PLAIN, Way.PLAIN.sharded(), Way.PLAIN.with(Recompute.NONE))
                .flatMap(way -> steps().map(run -> Arguments.of(run, way)));
    }

    @ParameterizedTest
    @MethodSource("ways")
    void trainingTouchesWhatIsPlanned(Run run, Way way) {
        try (Steps steps = Steps.open(libraries, run, way)) {
            steps.next();
            for (int rank : steps.runner().session().localRanks()) {
                judge(
                        run,
                        steps.runner().session(),
                        steps.runner().plan().programs().get(rank).model().program(),
                        rank);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("steps")
    void whatIsNotRecomputedIsKept(Run run) {
        long full = savedBytes(run, Recompute.FULL);
        long selective = savedBytes(run, Recompute.SELECTIVE);
        long none = savedBytes(run, Recompute.NONE);
        assertTrue(full < selective && selective < none, run + ": " + full + ", " + selective + ", " + none);
    }

    /** On all ranks. */
    private static long savedBytes(Run run, Recompute recompute) {
        try (Steps steps = Steps.open(libraries, run, Way.PLAIN.with(recompute))) {
            Session session = steps.runner().session();
            return session.localRanks().stream()
                    .mapToLong(rank -> session.plan(rank).arenaBytes().get(MemoryClass.SAVED))
                    .sum();
        }
    }

    private static void judge(Run run, Session session, Program program, int rank) {
        MemoryPlan plan = session.plan(rank);
        Map<MemoryClass, Long> touched = session.touchedBytes(rank);
        Map<MemoryClass, Long> predicted = highWaterMarks(program, plan);
        plan.arenaBytes().forEach((memoryClass, planned) -> {
            String what = run + ", rank " + rank + ", " + memoryClass;
            if (memoryClass == MemoryClass.TRANSIENT) {
                assertTrue(touched.get(memoryClass) > predicted.get(memoryClass) - ALIGNMENT, what);
                assertTrue(touched.get(memoryClass) <= planned, what);
                return;
            }
            assertEquals(predicted.get(memoryClass), touched.get(memoryClass), what);
            assertTrue(
                    planned - touched.get(memoryClass) < ALIGNMENT,
                    () -> what + ": planned " + planned + " bytes, touched " + touched.get(memoryClass));
        });
    }

    private static Map<MemoryClass, Long> highWaterMarks(Program program, MemoryPlan plan) {
        Map<Slot, Long> written = new HashMap<>();
        program.inputs().forEach(slot -> written.put(slot, slot.bytes()));
        for (Step step : program.steps()) {
            for (Access access : step.op().accesses()) {
                if (access.mode().writes() && !access.tensor().isEmpty()) {
                    written.merge(access.tensor().slot(), access.tensor().byteEnd(), Math::max);
                }
            }
        }
        Map<MemoryClass, Long> marks = new HashMap<>();
        written.forEach((slot, end) -> {
            if (end > 0) {
                marks.merge(slot.memoryClass(), plan.offsets().get(slot.id()) + end, Math::max);
            }
        });
        return marks;
    }
}
