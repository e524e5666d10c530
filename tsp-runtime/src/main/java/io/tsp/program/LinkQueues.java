package io.tsp.program;

import io.tsp.cost.Topology.Link;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** Links that serve the transfers of meetings one after the other, in an order that is given. */
final class LinkQueues implements VirtualRun.Traffics {
    /**
     * What a meeting asks of the links.
     *
     * @param latencyNanos before it needs them
     * @param transferNanos how long it has them, all at once
     * @param links what no other transfer may use meanwhile
     * @param busyNanos how long bytes move on each
     */
    record Demand(long latencyNanos, long transferNanos, Set<Link> links, Map<Link, Long> busyNanos) {}

    private static final int[] NONE = {};

    private final List<Demand> demands;
    private final int[][] before;
    private final int[][] after;
    private final Map<Link, Long> free = new HashMap<>();
    private final Map<Link, Long> busy = new HashMap<>();

    /**
     * @param demands of each meeting
     * @param order all meetings, as links serve them
     */
    LinkQueues(List<Demand> demands, List<Integer> order) {
        this.demands = demands;
        before = new int[demands.size()][];
        after = new int[demands.size()][];
        Map<Link, Integer> last = new HashMap<>();
        List<Set<Integer>> following = new ArrayList<>();
        demands.forEach(unused -> following.add(new TreeSet<>()));
        for (int meeting : order) {
            Set<Integer> previous = new HashSet<>();
            for (Link link : demands.get(meeting).links) {
                Integer other = last.put(link, meeting);
                if (other != null && previous.add(other)) {
                    following.get(other).add(meeting);
                }
            }
            before[meeting] = array(previous);
        }
        for (int meeting = 0; meeting < after.length; meeting++) {
            after[meeting] = array(following.get(meeting));
        }
    }

    private static int[] array(Set<Integer> meetings) {
        return meetings.isEmpty()
                ? NONE
                : meetings.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Transfers that take no time and never meet. */
    static VirtualRun.Traffics none(int meetings) {
        List<Demand> demands = new ArrayList<>();
        for (int i = 0; i < meetings; i++) {
            demands.add(new Demand(0, 0, Set.of(), Map.of()));
        }
        return new LinkQueues(demands, List.of());
    }

    @Override
    public int[] before(int meeting) {
        return before[meeting] == null ? NONE : before[meeting];
    }

    @Override
    public int[] after(int meeting) {
        return after[meeting];
    }

    @Override
    public long serve(int meeting, long arrived) {
        Demand demand = demands.get(meeting);
        long begin = arrived + demand.latencyNanos;
        for (Link link : demand.links) {
            begin = Math.max(begin, free.getOrDefault(link, 0L));
        }
        long end = begin + demand.transferNanos;
        demand.links.forEach(link -> free.put(link, end));
        demand.busyNanos.forEach((link, nanos) -> busy.merge(link, nanos, Long::sum));
        return end;
    }

    /** How long bytes moved on each link. */
    Map<Link, Long> busyNanos() {
        return Map.copyOf(busy);
    }
}
