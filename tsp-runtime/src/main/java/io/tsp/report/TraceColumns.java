package io.tsp.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The slices of a trace in columns: a million of them take 40 MB. Times are nanoseconds. */
final class TraceColumns {
    /** What a slice is; the ordinal is written into the page. */
    enum Category {
        COMPUTE,
        COMMUNICATION,
        /** Within a slice of communication: its peers had not all come. */
        WAIT,
        OTHER;

        static Category of(String name) {
            return switch (name) {
                case "compute" -> COMPUTE;
                case "communication" -> COMMUNICATION;
                case "wait" -> WAIT;
                default -> OTHER;
            };
        }
    }

    /** A queue of a rank, in the order in which lanes appear. */
    record Lane(long process, long thread, int index) {}

    /** Where a trace does not say when peers had come. */
    static final long UNKNOWN = -1;

    private static final int CATEGORY_BITS = 2;
    private static final int LANE_BITS = 31;

    private final LongColumn starts = new LongColumn();
    private final LongColumn durations = new LongColumn();
    /** Name, lane and category. */
    private final LongColumn tags = new LongColumn();

    private final LongColumn waits = new LongColumn();
    private final LongColumn arrivals = new LongColumn();

    private final Map<String, Integer> names = new LinkedHashMap<>();
    private final Map<Long, Map<Long, Lane>> lanes = new TreeMap<>();
    private final List<Lane> order = new ArrayList<>();
    private final Map<Long, String> processNames = new LinkedHashMap<>();
    private final Map<Lane, String> laneNames = new LinkedHashMap<>();

    void nameProcess(long process, String name) {
        processNames.put(process, name);
    }

    void nameLane(long process, long thread, String name) {
        laneNames.put(lane(process, thread), name);
    }

    Lane lane(long process, long thread) {
        return lanes.computeIfAbsent(process, _ -> new TreeMap<>()).computeIfAbsent(thread, _ -> {
            Lane lane = new Lane(process, thread, order.size());
            order.add(lane);
            return lane;
        });
    }

    /**
     * Adds a slice.
     *
     * @param waited how long the lane waited before it
     * @param peersArrived when the peers had come to this exchange, or to the one that was waited for; or unknown
     */
    void add(Lane lane, String name, Category category, long start, long duration, long waited, long peersArrived) {
        int index = names.computeIfAbsent(name, _ -> names.size());
        starts.add(start);
        durations.add(duration);
        tags.add((((long) index << LANE_BITS) | lane.index) << CATEGORY_BITS | category.ordinal());
        waits.add(waited);
        arrivals.add(peersArrived);
    }

    int size() {
        return starts.size();
    }

    long start(int slice) {
        return starts.get(slice);
    }

    long duration(int slice) {
        return durations.get(slice);
    }

    long end(int slice) {
        return starts.get(slice) + durations.get(slice);
    }

    long waited(int slice) {
        return waits.get(slice);
    }

    long peersArrived(int slice) {
        return arrivals.get(slice);
    }

    int name(int slice) {
        return (int) (tags.get(slice) >>> (LANE_BITS + CATEGORY_BITS));
    }

    Category category(int slice) {
        return Category.values()[(int) tags.get(slice) & ((1 << CATEGORY_BITS) - 1)];
    }

    private int laneIndex(int slice) {
        return (int) (tags.get(slice) >>> CATEGORY_BITS) & Integer.MAX_VALUE;
    }

    /** All names; slices hold indices. */
    List<String> names() {
        return List.copyOf(names.keySet());
    }

    /** Processes by number, each with its lanes by number. */
    Map<Long, List<Lane>> processes() {
        Map<Long, List<Lane>> processes = new TreeMap<>();
        lanes.forEach((process, threads) -> processes.put(process, List.copyOf(threads.values())));
        return processes;
    }

    String processName(long process) {
        return processNames.getOrDefault(process, "process " + process);
    }

    String laneName(Lane lane) {
        return laneNames.getOrDefault(lane, "thread " + lane.thread);
    }

    /** For each lane the indices of its slices by start. */
    int[][] slicesByLane() {
        int[] counts = new int[order.size()];
        for (int slice = 0; slice < size(); slice++) {
            counts[laneIndex(slice)]++;
        }
        int[][] slices = new int[order.size()][];
        Arrays.setAll(slices, lane -> new int[counts[lane]]);
        int[] filled = new int[order.size()];
        for (int slice = 0; slice < size(); slice++) {
            int lane = laneIndex(slice);
            slices[lane][filled[lane]++] = slice;
        }
        for (int lane = 0; lane < slices.length; lane++) {
            slices[lane] = sorted(slices[lane]);
        }
        return slices;
    }

    /** Lanes run in order, so there is hardly ever something to do. */
    private int[] sorted(int[] slices) {
        for (int i = 1; i < slices.length; i++) {
            if (starts.get(slices[i]) < starts.get(slices[i - 1])) {
                return Arrays.stream(slices)
                        .boxed()
                        .sorted(Comparator.comparingLong(starts::get))
                        .mapToInt(Integer::intValue)
                        .toArray();
            }
        }
        return slices;
    }
}
