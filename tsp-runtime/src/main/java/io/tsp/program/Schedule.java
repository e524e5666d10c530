package io.tsp.program;

import io.tsp.op.Access;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A program on lanes: which lane each step runs on and which steps of other lanes it waits for. Waits are derived from
 * the operands, so that the result is that of program order; none is listed that follows from others.
 *
 * @param lanes lane of each step
 * @param waits for each step, earlier steps on other lanes that must be finished before it begins
 */
public record Schedule(Program program, List<Lane> lanes, List<List<Integer>> waits) {
    public Schedule {
        lanes = List.copyOf(lanes);
        waits = waits.stream().map(List::copyOf).toList();
    }

    /** Lanes as the program names them: transfers overlap with compute. */
    public static Schedule overlapped(Program program) {
        return derive(program, program.steps().stream().map(Step::lane).toList());
    }

    /** Everything on one lane, in program order: the reference. */
    public static Schedule sequential(Program program) {
        return derive(program, Collections.nCopies(program.steps().size(), Lane.COMPUTE));
    }

    HappensBefore happensBefore() {
        return HappensBefore.of(lanes, waits);
    }

    private static Schedule derive(Program program, List<Lane> lanes) {
        HappensBefore.Incremental clock =
                new HappensBefore.Incremental(program.steps().size());
        Map<Integer, List<Use>> usesOfSlot = new HashMap<>();
        List<List<Integer>> waits = new ArrayList<>();
        for (Step step : program.steps()) {
            Lane lane = lanes.get(step.index());
            clock.begin(step.index(), lane);
            List<Use> own = uses(step, lane);
            waits.add(waitsOf(step, own, usesOfSlot, clock));
            own.forEach(use -> remember(use, usesOfSlot));
        }
        return new Schedule(program, lanes, waits);
    }

    /**
     * Bytes of a slot that a step uses; strided views count with all that lies between their elements.
     *
     * @param end first byte behind them
     */
    private record Use(int step, Lane lane, int slot, long begin, long end, boolean writes) {
        boolean conflicts(Use other) {
            return (writes || other.writes) && begin < other.end && other.begin < end;
        }

        boolean isFollowedBy(int nextSlot, long nextBegin, boolean nextWrites) {
            return slot == nextSlot && end == nextBegin && writes == nextWrites;
        }
    }

    /** What a step uses. The parts of an exchange, which may be as many as ranks, are one if they follow each other. */
    private static List<Use> uses(Step step, Lane lane) {
        List<Use> uses = new ArrayList<>();
        for (Access access : step.op().accesses()) {
            Tensor tensor = access.tensor();
            if (tensor.isEmpty()) {
                continue;
            }
            int slot = tensor.slot().id();
            boolean writes = access.mode().writes();
            boolean follows = !uses.isEmpty() && uses.getLast().isFollowedBy(slot, tensor.byteOffset(), writes);
            long begin = follows ? uses.removeLast().begin : tensor.byteOffset();
            uses.add(new Use(step.index(), lane, slot, begin, tensor.byteEnd(), writes));
        }
        return uses;
    }

    /** Latest conflicting steps first: once one is waited for, most of the earlier ones are ordered through it. */
    private static List<Integer> waitsOf(
            Step step, List<Use> own, Map<Integer, List<Use>> usesOfSlot, HappensBefore.Incremental clock) {
        List<Integer> conflicts = new ArrayList<>();
        for (Use use : own) {
            for (Use earlier : usesOfSlot.getOrDefault(use.slot, List.of())) {
                if (use.conflicts(earlier)) {
                    conflicts.add(earlier.step);
                }
            }
        }
        conflicts.sort(Collections.reverseOrder());
        List<Integer> waits = new ArrayList<>();
        for (int earlier : conflicts) {
            if (!clock.ordered(earlier, step.index())) {
                clock.join(step.index(), earlier);
                waits.add(earlier);
            }
        }
        return waits;
    }

    /**
     * Uses that need not be looked at again: those that a write covers, because it is ordered behind them, and reads
     * that a read on the same lane covers, because it comes after them. Without this a slot that is read all along,
     * such as positions, makes the time quadratic.
     */
    private static void remember(Use use, Map<Integer, List<Use>> usesOfSlot) {
        List<Use> uses = usesOfSlot.computeIfAbsent(use.slot, id -> new ArrayList<>());
        uses.removeIf(earlier -> earlier.step != use.step
                && (use.writes || (!earlier.writes && earlier.lane == use.lane))
                && earlier.begin >= use.begin
                && earlier.end <= use.end);
        uses.add(use);
    }
}
