package io.tsp.program;

import com.google.common.collect.Range;
import com.google.common.collect.RangeSet;
import com.google.common.collect.TreeRangeSet;
import io.tsp.op.Access;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Where every slot lies: one arena per memory class, known before anything is allocated. Slots of a class that is not
 * persistent share bytes when every use of one happens before every use of the other.
 *
 * @param offsets byte offset of each slot in its class' arena, by slot id
 * @param arenaBytes size of each arena
 * @param workspaceOffsets byte offset of each lane's workspace in the transient arena
 */
public record MemoryPlan(List<Long> offsets, Map<MemoryClass, Long> arenaBytes, Map<Lane, Long> workspaceOffsets) {
    /** Alignment of slots: a GPU's and oneDNN's vector loads want no less. */
    static final long ALIGNMENT = 256;

    public MemoryPlan {
        offsets = List.copyOf(offsets);
        arenaBytes = Map.copyOf(arenaBytes);
        workspaceOffsets = Map.copyOf(workspaceOffsets);
    }

    /** Bytes of all arenas together: the rank's planned peak. */
    public long peakBytes() {
        return arenaBytes.values().stream().mapToLong(Long::longValue).sum();
    }

    /** The same without the arena of parameters, which lie somewhere else. */
    MemoryPlan withoutParameters() {
        Map<MemoryClass, Long> rest = new EnumMap<>(arenaBytes);
        rest.remove(MemoryClass.PARAMETERS);
        return new MemoryPlan(offsets, rest, workspaceOffsets);
    }

    /**
     * Plans a schedule.
     *
     * @param workspaceBytes the most scratch memory that any op of a lane asks for
     */
    public static MemoryPlan of(Schedule schedule, Map<Lane, Long> workspaceBytes) {
        List<Lifetime> lifetimes = lifetimes(schedule);
        Map<MemoryClass, Long> arenaBytes = new EnumMap<>(MemoryClass.class);
        Long[] offsets = new Long[lifetimes.size()];
        HappensBefore order = schedule.happensBefore();
        for (MemoryClass memoryClass : MemoryClass.values()) {
            List<Lifetime> members = lifetimes.stream()
                    .filter(lifetime -> lifetime.slot.memoryClass() == memoryClass)
                    .sorted(Comparator.comparingLong((Lifetime lifetime) -> -lifetime.slot.bytes()))
                    .toList();
            long bytes = place(members, order, offsets);
            if (bytes > 0) {
                arenaBytes.put(memoryClass, bytes);
            }
        }
        Map<Lane, Long> workspaceOffsets = new EnumMap<>(Lane.class);
        workspaceBytes.forEach((lane, bytes) -> {
            long offset = arenaBytes.getOrDefault(MemoryClass.TRANSIENT, 0L);
            workspaceOffsets.put(lane, offset);
            arenaBytes.put(MemoryClass.TRANSIENT, offset + align(bytes));
        });
        return new MemoryPlan(List.of(offsets), arenaBytes, workspaceOffsets);
    }

    /** First fit, largest slots first; returns the arena's size. */
    private static long place(List<Lifetime> members, HappensBefore order, Long[] offsets) {
        List<Lifetime> placed = new ArrayList<>();
        long end = 0;
        for (Lifetime lifetime : members) {
            RangeSet<Long> taken = TreeRangeSet.create();
            for (Lifetime other : placed) {
                if (!lifetime.disjoint(other, order)) {
                    long offset = offsets[other.slot.id()];
                    taken.add(Range.closedOpen(offset, offset + align(other.slot.bytes())));
                }
            }
            long offset = firstGap(taken, align(lifetime.slot.bytes()));
            offsets[lifetime.slot.id()] = offset;
            end = Math.max(end, offset + align(lifetime.slot.bytes()));
            placed.add(lifetime);
        }
        return end;
    }

    private static long firstGap(RangeSet<Long> taken, long bytes) {
        long offset = 0;
        for (Range<Long> range : taken.asRanges()) {
            if (range.lowerEndpoint() - offset >= bytes) {
                return offset;
            }
            offset = range.upperEndpoint();
        }
        return offset;
    }

    private static long align(long bytes) {
        return Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
    }

    private static List<Lifetime> lifetimes(Schedule schedule) {
        List<Lifetime> lifetimes = schedule.program().slots().stream()
                .map(slot -> new Lifetime(slot, schedule.program().keeps(slot)))
                .toList();
        for (Step step : schedule.program().steps()) {
            for (Access access : step.op().accesses()) {
                lifetimes.get(access.tensor().slot().id()).use(schedule.lanes().get(step.index()), step.index());
            }
        }
        return lifetimes;
    }

    /** First and last use of a slot on every lane. */
    private static final class Lifetime {
        private final Slot slot;
        private final boolean always;
        private final Map<Lane, Integer> first = new EnumMap<>(Lane.class);
        private final Map<Lane, Integer> last = new EnumMap<>(Lane.class);

        Lifetime(Slot slot, boolean always) {
            this.slot = slot;
            this.always = always;
        }

        void use(Lane lane, int step) {
            first.putIfAbsent(lane, step);
            last.put(lane, step);
        }

        boolean disjoint(Lifetime other, HappensBefore order) {
            return !always && !other.always && (before(other, order) || other.before(this, order));
        }

        private boolean before(Lifetime later, HappensBefore order) {
            return last.values().stream()
                    .allMatch(end -> later.first.values().stream().allMatch(begin -> order.ordered(end, begin)));
        }
    }
}
