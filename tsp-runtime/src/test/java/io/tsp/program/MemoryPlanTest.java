package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.op.ComputeOp.Copy;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a plan lets live slots overlap, or does not save what it could. */
class MemoryPlanTest {
    static LongStream seeds() {
        return LongStream.range(0, 60);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void slotsShareBytesOnlyWhenTheirUsesAreOrdered(long seed) {
        Schedule schedule = Schedule.overlapped(new RandomPrograms(seed).next(12, 14));
        MemoryPlan plan = MemoryPlan.of(schedule, Map.of(Lane.COMPUTE, 100L));
        Verifier.verifyPlan(schedule, plan, Map.of(Lane.COMPUTE, 100L));
        boolean[][] before = RandomPrograms.closure(schedule);
        List<Slot> slots = schedule.program().slots();
        for (Slot a : slots) {
            for (Slot b : slots) {
                if (a.id() < b.id() && sameBytes(plan, a, b)) {
                    assertTrue(
                            !schedule.program().keeps(a) && !schedule.program().keeps(b),
                            a + " and " + b + " share bytes, but one is an input");
                    assertTrue(
                            allBefore(schedule, before, a, b) || allBefore(schedule, before, b, a),
                            a + " and " + b + " share bytes and live at the same time");
                }
            }
        }
    }

    private static boolean sameBytes(MemoryPlan plan, Slot a, Slot b) {
        long startOfA = plan.offsets().get(a.id());
        long startOfB = plan.offsets().get(b.id());
        return startOfA < startOfB + b.bytes() && startOfB < startOfA + a.bytes();
    }

    private static boolean allBefore(Schedule schedule, boolean[][] before, Slot first, Slot second) {
        return uses(schedule, first).stream()
                .allMatch(a -> uses(schedule, second).stream().allMatch(b -> before[a][b]));
    }

    private static List<Integer> uses(Schedule schedule, Slot slot) {
        return schedule.program().steps().stream()
                .filter(step -> step.op().accesses().stream()
                        .anyMatch(access -> access.tensor().slot().equals(slot)))
                .map(Step::index)
                .toList();
    }

    @Test
    void chainOfBuffersNeedsTwo() {
        ProgramBuilder builder = new ProgramBuilder(0);
        Tensor from = builder.input("source", MemoryClass.HOST, DType.F32, 64);
        for (int i = 0; i < 6; i++) {
            Tensor to = builder.allocate("buffer " + i, MemoryClass.TRANSIENT, DType.F32, 64);
            builder.compute(new Copy(from, to));
            from = to;
        }
        MemoryPlan plan = MemoryPlan.of(Schedule.sequential(builder.build()), Map.of());
        assertEquals(Map.of(MemoryClass.HOST, 256L, MemoryClass.TRANSIENT, 512L), plan.arenaBytes());
        assertEquals(768, plan.peakBytes());
    }

    @Test
    void transientMemoryOfASchemeIsShared() {
        Schedule schedule = World.of(new TspScheme(3, 1), Requests.plain()).schedule(0);
        MemoryPlan plan = MemoryPlan.of(schedule, Map.of());
        for (MemoryClass memoryClass : List.of(MemoryClass.TRANSIENT, MemoryClass.COMMUNICATION)) {
            long sum = schedule.program().slots().stream()
                    .filter(slot -> slot.memoryClass() == memoryClass)
                    .mapToLong(slot -> Math.ceilDiv(slot.bytes(), MemoryPlan.ALIGNMENT) * MemoryPlan.ALIGNMENT)
                    .sum();
            assertTrue(plan.arenaBytes().get(memoryClass) < sum, memoryClass + " shares nothing");
        }
    }

    /** Less overlap means more order, and more order can only shorten lives. */
    @Test
    void sequentialRunsNeedNoMoreThanOverlappedOnes() {
        Schedule overlapped = World.of(new TspScheme(4, 1), Requests.plain()).schedule(0);
        long sequential = MemoryPlan.of(Schedule.sequential(overlapped.program()), Map.of())
                .peakBytes();
        assertTrue(sequential <= MemoryPlan.of(overlapped, Map.of()).peakBytes());
    }

    @Test
    void workspacesLieBehindTheSlots() {
        Schedule schedule = World.of(new TspScheme(2, 1), Requests.plain()).schedule(0);
        long without = MemoryPlan.of(schedule, Map.of()).arenaBytes().get(MemoryClass.TRANSIENT);
        MemoryPlan plan = MemoryPlan.of(schedule, Map.of(Lane.COMPUTE, 300L));
        assertEquals(Map.of(Lane.COMPUTE, without), plan.workspaceOffsets());
        assertEquals(without + 512, plan.arenaBytes().get(MemoryClass.TRANSIENT));
    }
}
