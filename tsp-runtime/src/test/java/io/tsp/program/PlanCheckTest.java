package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tsp.op.ComputeOp.Copy;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A failure means that two things can be put into the same bytes, or memory be reserved for nothing. */
class PlanCheckTest {
    private static final Map<Lane, Long> WORKSPACES = Map.of(Lane.COMPUTE, 1000L, Lane.KV, 300L);

    private final Schedule tsp = World.of(new TspScheme(3, 1), Requests.plain()).schedule(1);
    private final MemoryPlan plan = MemoryPlan.of(tsp, WORKSPACES);

    private Slot slot(String name) {
        return tsp.program().slots().stream()
                .filter(slot -> slot.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private long offset(String name) {
        return plan.offsets().get(slot(name).id());
    }

    private MemoryPlan moved(String name, long offset) {
        List<Long> offsets = new ArrayList<>(plan.offsets());
        offsets.set(slot(name).id(), offset);
        return new MemoryPlan(offsets, plan.arenaBytes(), plan.workspaceOffsets());
    }

    private MemoryPlan resized(MemoryClass memoryClass, long change) {
        Map<MemoryClass, Long> bytes = new HashMap<>(plan.arenaBytes());
        bytes.merge(memoryClass, change, Long::sum);
        return new MemoryPlan(plan.offsets(), bytes, plan.workspaceOffsets());
    }

    private MemoryPlan withWorkspaceAt(Lane lane, long offset) {
        Map<Lane, Long> offsets = new HashMap<>(plan.workspaceOffsets());
        offsets.put(lane, offset);
        return new MemoryPlan(plan.offsets(), plan.arenaBytes(), offsets);
    }

    private void assertDefect(MemoryPlan spoiled, Object... parts) {
        assertDefect(tsp, spoiled, parts);
    }

    private static void assertDefect(Schedule schedule, MemoryPlan spoiled, Object... parts) {
        World.assertMessage(
                assertThrows(VerificationException.class, () -> Verifier.verifyPlan(schedule, spoiled, WORKSPACES)),
                parts);
    }

    @Test
    void acceptsThePlan() {
        Verifier.verifyPlan(tsp, plan, WORKSPACES);
    }

    @Test
    void findsSlotsThatOverlapWhileBothAreInUse() {
        assertDefect(
                moved("normed", offset("x")), "rank 1", "slot x", "slot normed", "share bytes", "need not be finished");
    }

    @Test
    void findsSlotsThatOverlapInTheirLastBytes() {
        long last = (slot("x").bytes() - 1) / MemoryPlan.ALIGNMENT * MemoryPlan.ALIGNMENT;
        assertDefect(moved("normed", offset("x") + last), "slot x", "slot normed", "share bytes");
    }

    @Test
    void findsSlotBeyondItsArena() {
        long end = plan.arenaBytes().get(MemoryClass.TRANSIENT);
        assertDefect(moved("x", end), "slot x", "outside the TRANSIENT arena of " + end + " bytes");
    }

    @Test
    void findsSlotBeforeItsArena() {
        assertDefect(moved("x", -MemoryPlan.ALIGNMENT), "slot x", "outside the TRANSIENT arena");
    }

    @Test
    void findsMisalignedSlot() {
        Schedule schedule = twoStages(true);
        MemoryPlan right = MemoryPlan.of(schedule, Map.of());
        List<Long> offsets = new ArrayList<>(right.offsets());
        offsets.set(1, 4L);
        MemoryPlan spoiled = new MemoryPlan(offsets, right.arenaBytes(), Map.of());
        VerificationException e =
                assertThrows(VerificationException.class, () -> Verifier.verifyPlan(schedule, spoiled, Map.of()));
        World.assertMessage(e, "slot a at bytes [4, 36)", "multiple of 256");
    }

    @Test
    void findsWorkspaceOverSlot() {
        assertDefect(
                withWorkspaceAt(Lane.COMPUTE, offset("x")), "the workspace of lane COMPUTE", "slot x", "share bytes");
    }

    @Test
    void findsWorkspacesOverEachOther() {
        assertDefect(
                withWorkspaceAt(Lane.KV, plan.workspaceOffsets().get(Lane.COMPUTE)),
                "the workspace of lane COMPUTE",
                "the workspace of lane KV",
                "share bytes");
    }

    @Test
    void findsWorkspaceThatIsTooSmall() {
        VerificationException e = assertThrows(
                VerificationException.class,
                () -> Verifier.verifyPlan(tsp, plan, Map.of(Lane.COMPUTE, 1000L, Lane.KV, 5000L)));
        World.assertMessage(e, "the workspace of lane");
    }

    @Test
    void findsLaneWithoutWorkspace() {
        VerificationException e = assertThrows(
                VerificationException.class,
                () -> Verifier.verifyPlan(tsp, plan, Map.of(Lane.COMPUTE, 1000L, Lane.KV, 300L, Lane.WEIGHTS, 8L)));
        World.assertMessage(e, "lane WEIGHTS needs a workspace of 8 bytes and has none");
    }

    @Test
    void findsArenaWithUnusedTail() {
        assertDefect(resized(MemoryClass.COMMUNICATION, MemoryPlan.ALIGNMENT), "COMMUNICATION arena has");
    }

    @Test
    void findsArenaThatIsTooSmall() {
        assertDefect(resized(MemoryClass.PARAMETERS, -MemoryPlan.ALIGNMENT), "outside the PARAMETERS arena");
    }

    @Test
    void findsArenaOfNothing() {
        assertDefect(resized(MemoryClass.OPTIMIZER, 512), "OPTIMIZER arena has 512 bytes", "ends at byte 0");
    }

    @Test
    void findsWeightsThatShareBytes() {
        List<Slot> weights = tsp.program().slots().stream()
                .filter(slot -> slot.memoryClass() == MemoryClass.PARAMETERS && slot.bytes() > 0)
                .toList();
        Slot first = weights.get(0);
        Slot second = weights.get(1);
        List<Long> offsets = new ArrayList<>(plan.offsets());
        offsets.set(second.id(), offsets.get(first.id()));
        assertDefect(
                new MemoryPlan(offsets, plan.arenaBytes(), plan.workspaceOffsets()),
                "slot " + first,
                "slot " + second,
                "needed all the time");
    }

    @Test
    void findsPlanOfAnotherProgram() {
        MemoryPlan fewer = new MemoryPlan(
                plan.offsets().subList(1, plan.offsets().size()), plan.arenaBytes(), plan.workspaceOffsets());
        assertDefect(
                fewer,
                "it places " + fewer.offsets().size() + " slots of "
                        + plan.offsets().size());
    }

    /** Two slots may share bytes only if a wait orders the last use of one before the first use of the other. */
    @Test
    void findsReuseAcrossLanesThatNoWaitOrders() {
        MemoryPlan shared = MemoryPlan.of(twoStages(true), Map.of());
        Verifier.verifyPlan(twoStages(true), shared, Map.of());
        VerificationException e = assertThrows(
                VerificationException.class, () -> Verifier.verifyPlan(twoStages(false), shared, Map.of()));
        World.assertMessage(e, "slot a", "slot b", "#1 copy", "#2 copy");
    }

    /** source -> a -> out, then on another lane source -> b -> out. */
    private static Schedule twoStages(boolean ordered) {
        ProgramBuilder builder = new ProgramBuilder(0);
        Tensor source = builder.input("source", MemoryClass.HOST, DType.F32, 8);
        Tensor a = builder.allocate("a", MemoryClass.TRANSIENT, DType.F32, 8);
        Tensor b = builder.allocate("b", MemoryClass.TRANSIENT, DType.F32, 8);
        Tensor out = builder.output(builder.allocate("out", MemoryClass.HOST, DType.F32, 16));
        builder.compute(new Copy(source, a));
        builder.compute(new Copy(a, out.rows(0, 8)));
        builder.compute(new Copy(source, b));
        builder.compute(new Copy(b, out.rows(8, 8)));
        List<List<Integer>> waits = List.of(List.of(), List.of(), ordered ? List.of(1) : List.of(), List.of());
        return new Schedule(builder.build(), List.of(Lane.COMPUTE, Lane.COMPUTE, Lane.KV, Lane.KV), waits);
    }
}
