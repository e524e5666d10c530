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
            clock.begin(step.index(), lanes.get(step.index()));
            waits.add(waitsOf(step, usesOfSlot, clock));
            for (Access access : step.op().accesses()) {
                remember(step, lanes.get(step.index()), access, usesOfSlot);
            }
        }
        return new Schedule(program, lanes, waits);
    }

    /** Latest conflicting steps first: once one is waited for, most of the earlier ones are ordered through it. */
    private static List<Integer> waitsOf(
            Step step, Map<Integer, List<Use>> usesOfSlot, HappensBefore.Incremental clock) {
        List<Integer> conflicts = new ArrayList<>();
        for (Access access : step.op().accesses()) {
            for (Use use : usesOfSlot.getOrDefault(access.tensor().slot().id(), List.of())) {
                if ((use.writes || access.mode().writes()) && use.tensor.overlaps(access.tensor())) {
                    conflicts.add(use.step);
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
    private static void remember(Step step, Lane lane, Access access, Map<Integer, List<Use>> usesOfSlot) {
        Tensor tensor = access.tensor();
        boolean writes = access.mode().writes();
        List<Use> uses = usesOfSlot.computeIfAbsent(tensor.slot().id(), id -> new ArrayList<>());
        uses.removeIf(use -> use.step != step.index()
                && (writes || (!use.writes && use.lane == lane))
                && use.tensor.byteOffset() >= tensor.byteOffset()
                && use.tensor.byteEnd() <= tensor.byteEnd());
        uses.add(new Use(step.index(), lane, tensor, writes));
    }

    private record Use(int step, Lane lane, Tensor tensor, boolean writes) {}
}
