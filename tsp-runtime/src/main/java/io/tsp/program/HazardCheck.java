package io.tsp.program;

import io.tsp.op.Access;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * Proves that two steps that touch the same byte of a slot, one of them writing, are ordered by lanes and waits.
 *
 * <p>Walks the program once and keeps, for each run of bytes, the last reader and the last writer on each lane. Steps
 * of one lane are ordered, so whoever comes behind the last one of a lane comes behind all of them: comparing with
 * these few is comparing with every earlier step.
 */
final class HazardCheck {
    private static final int LANES = Lane.values().length;
    private static final int NOBODY = -1;

    private final Schedule schedule;
    private final HappensBefore order;
    private final Map<Slot, NavigableMap<Long, Uses>> usesOfSlot = new HashMap<>();

    private HazardCheck(Schedule schedule, HappensBefore order) {
        this.schedule = schedule;
        this.order = order;
    }

    static void check(Schedule schedule, HappensBefore order) {
        HazardCheck check = new HazardCheck(schedule, order);
        for (Step step : schedule.program().steps()) {
            step.op().accesses().forEach(access -> check.compare(step, access));
            step.op().accesses().forEach(access -> check.remember(step, access));
        }
    }

    /** Of several races the latest is reported: it is the one that a missing wait leaves open. */
    private void compare(Step step, Access access) {
        int race = NOBODY;
        for (Uses uses : runs(access.tensor())) {
            race = Math.max(race, latestUnordered(uses.writers, step));
            if (access.mode().writes()) {
                race = Math.max(race, latestUnordered(uses.readers, step));
            }
        }
        if (race != NOBODY) {
            Step other = schedule.program().steps().get(race);
            String does = access.mode().writes() ? "writes" : "reads";
            throw VerificationException.at(
                    schedule.program().rank(),
                    step,
                    "it " + does + " slot " + access.tensor().slot() + " on lane " + lane(step)
                            + " while step " + other + " uses it on lane " + lane(other)
                            + ", and no wait orders the two");
        }
    }

    private int latestUnordered(int[] ofLane, Step step) {
        int latest = NOBODY;
        for (int earlier : ofLane) {
            if (earlier > latest && !order.ordered(earlier, step.index())) {
                latest = earlier;
            }
        }
        return latest;
    }

    private Lane lane(Step step) {
        return schedule.lanes().get(step.index());
    }

    private void remember(Step step, Access access) {
        int lane = lane(step).ordinal();
        for (Uses uses : runs(access.tensor())) {
            if (access.mode().writes()) {
                uses.writers[lane] = step.index();
            } else {
                uses.readers[lane] = step.index();
            }
        }
    }

    /** The runs of bytes that are exactly a tensor's extent, after cutting those that lie across its ends. */
    private Collection<Uses> runs(Tensor tensor) {
        NavigableMap<Long, Uses> runs = usesOfSlot.computeIfAbsent(tensor.slot(), slot -> {
            NavigableMap<Long, Uses> whole = new TreeMap<>();
            whole.put(0L, new Uses());
            return whole;
        });
        cut(runs, tensor.byteOffset());
        cut(runs, tensor.byteEnd());
        return runs.subMap(tensor.byteOffset(), tensor.byteEnd()).values();
    }

    private static void cut(NavigableMap<Long, Uses> runs, long at) {
        Map.Entry<Long, Uses> run = runs.floorEntry(at);
        if (run.getKey() != at) {
            runs.put(at, new Uses(run.getValue()));
        }
    }

    /** The last step of each lane that read and wrote a run of bytes. */
    private static final class Uses {
        private final int[] readers;
        private final int[] writers;

        Uses() {
            readers = new int[LANES];
            writers = new int[LANES];
            Arrays.fill(readers, NOBODY);
            Arrays.fill(writers, NOBODY);
        }

        Uses(Uses other) {
            readers = other.readers.clone();
            writers = other.writers.clone();
        }
    }
}
