package io.tsp.program;

import io.tsp.op.Access;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Proves that a memory plan gives every slot and every lane's workspace bytes of its own for as long as they matter,
 * and no arena a byte more than that needs.
 */
final class PlanCheck {
    private static final int NONE = -1;

    private final Program program;
    private final MemoryPlan plan;
    private final HappensBefore order;
    private final Lifetime[] lifetimes;

    private PlanCheck(Schedule schedule, MemoryPlan plan) {
        this.program = schedule.program();
        this.plan = plan;
        this.order = schedule.happensBefore();
        this.lifetimes = new Lifetime[program.slots().size()];
        Arrays.setAll(lifetimes, slot -> new Lifetime());
        for (Step step : program.steps()) {
            for (Access access : step.op().accesses()) {
                lifetimes[access.tensor().slot().id()].use(schedule.lanes().get(step.index()), step.index());
            }
        }
    }

    static void check(Schedule schedule, MemoryPlan plan, Map<Lane, Long> workspaceBytes) {
        PlanCheck check = new PlanCheck(schedule, plan);
        int slots = check.program.slots().size();
        check.require(
                plan.offsets().size() == slots,
                "it places %s slots of %s",
                plan.offsets().size(),
                slots);
        for (MemoryClass memoryClass : MemoryClass.values()) {
            List<Area> areas = check.slots(memoryClass);
            if (memoryClass == MemoryClass.TRANSIENT) {
                areas.addAll(check.workspaces(workspaceBytes));
            }
            check.bounds(memoryClass, areas);
            check.sharing(areas);
            check.size(memoryClass, areas);
        }
    }

    private List<Area> slots(MemoryClass memoryClass) {
        List<Area> areas = new ArrayList<>();
        for (Slot slot : program.slots()) {
            if (slot.memoryClass() == memoryClass && slot.bytes() > 0) {
                long offset = plan.offsets().get(slot.id());
                areas.add(new Area("slot " + slot, slot, offset, offset + slot.bytes()));
            }
        }
        return areas;
    }

    private List<Area> workspaces(Map<Lane, Long> workspaceBytes) {
        List<Area> areas = new ArrayList<>();
        workspaceBytes.forEach((lane, bytes) -> {
            Long offset = plan.workspaceOffsets().get(lane);
            if (offset == null) {
                throw defect("lane " + lane + " needs a workspace of " + bytes + " bytes and has none");
            }
            areas.add(new Area("the workspace of lane " + lane, null, offset, offset + bytes));
        });
        return areas;
    }

    private void bounds(MemoryClass memoryClass, List<Area> areas) {
        long bytes = plan.arenaBytes().getOrDefault(memoryClass, 0L);
        for (Area area : areas) {
            boolean inside = area.from >= 0 && area.to <= bytes;
            require(inside, "%s lies outside the %s arena of %s bytes", area, memoryClass, bytes);
            boolean aligned = area.from % MemoryPlan.ALIGNMENT == 0;
            require(aligned, "%s does not begin at a multiple of %s bytes", area, MemoryPlan.ALIGNMENT);
        }
    }

    private void size(MemoryClass memoryClass, List<Area> areas) {
        long bytes = plan.arenaBytes().getOrDefault(memoryClass, 0L);
        long end = areas.stream().mapToLong(Area::to).max().orElse(0);
        boolean exact = bytes == Math.ceilDiv(end, MemoryPlan.ALIGNMENT) * MemoryPlan.ALIGNMENT;
        require(exact, "the %s arena has %s bytes, but what lies in it ends at byte %s", memoryClass, bytes, end);
    }

    /** Compares only areas that share bytes: those still open when, going up, another one begins. */
    private void sharing(List<Area> areas) {
        List<Area> open = new ArrayList<>();
        for (Area area :
                areas.stream().sorted(Comparator.comparingLong(Area::from)).toList()) {
            open.removeIf(earlier -> earlier.to <= area.from);
            open.forEach(earlier -> requireMayShare(earlier, area));
            open.add(area);
        }
    }

    private void requireMayShare(Area a, Area b) {
        if (a.slot == null || b.slot == null || program.keeps(a.slot) || program.keeps(b.slot)) {
            throw defect(a + " and " + b + " share bytes, but one of them is needed all the time");
        }
        Lifetime ofA = lifetimes[a.slot.id()];
        Lifetime ofB = lifetimes[b.slot.id()];
        boolean inOrder = ofA.begin() <= ofB.begin();
        requireOrdered(inOrder ? ofA.last : ofB.last, inOrder ? ofB.first : ofA.first, a, b);
    }

    private void requireOrdered(int[] ends, int[] begins, Area a, Area b) {
        for (int end : ends) {
            for (int begin : begins) {
                if (end != NONE && begin != NONE && !order.ordered(end, begin)) {
                    throw defect(a + " and " + b + " share bytes, but step "
                            + program.steps().get(end) + " need not be finished when step "
                            + program.steps().get(begin) + " begins");
                }
            }
        }
    }

    private void require(boolean condition, String defect, Object... arguments) {
        if (!condition) {
            throw defect(defect.formatted(arguments));
        }
    }

    private VerificationException defect(String defect) {
        return new VerificationException("memory plan of rank " + program.rank() + ": " + defect);
    }

    /** Bytes of an arena that belong to a slot or, without one, to a lane's workspace. */
    private record Area(String name, @Nullable Slot slot, long from, long to) {
        @Override
        public String toString() {
            return name + " at bytes [" + from + ", " + to + ")";
        }
    }

    /** First and last step of each lane that uses a slot. */
    private static final class Lifetime {
        private final int[] first = new int[Lane.values().length];
        private final int[] last = new int[Lane.values().length];

        Lifetime() {
            Arrays.fill(first, NONE);
            Arrays.fill(last, NONE);
        }

        void use(Lane lane, int step) {
            if (first[lane.ordinal()] == NONE) {
                first[lane.ordinal()] = step;
            }
            last[lane.ordinal()] = step;
        }

        /** First use in program order, which decides whose life has to end first. */
        int begin() {
            return Arrays.stream(first).filter(step -> step != NONE).min().orElse(NONE);
        }
    }
}
