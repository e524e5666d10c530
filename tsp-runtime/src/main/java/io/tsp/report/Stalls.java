package io.tsp.report;

import io.tsp.program.Lane;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * When a rank's compute lane waited, as {@link io.tsp.program.Trace} counts it. Where a trace does not say when the peers
 * had come to what was waited for, it is taken to be the exchange that was last to end before the lane went on.
 */
final class Stalls {
    /**
     * A wait, in nanoseconds.
     *
     * @param forPeers for a peer that had not come to the exchange; else for bytes on their way
     */
    record Stall(long start, long end, boolean forPeers) {}

    private final TraceColumns columns;
    private final List<Stall> stalls = new ArrayList<>();
    /** Exchanges on other lanes by end, and the first that has not ended yet. */
    private final int[] exchanges;

    private int ended;

    private Stalls(TraceColumns columns, List<int[]> otherLanes) {
        this.columns = columns;
        exchanges = otherLanes.stream()
                .flatMapToInt(Arrays::stream)
                .filter(slice -> columns.category(slice) == TraceColumns.Category.COMMUNICATION)
                .boxed()
                .sorted(Comparator.comparingLong(columns::end))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /**
     * The waits of a rank by time.
     *
     * @param lanes of the rank
     * @param slicesByLane slices of every lane by start
     */
    static List<Stall> of(TraceColumns columns, List<TraceColumns.Lane> lanes, int[][] slicesByLane) {
        List<int[]> others = new ArrayList<>();
        List<int[]> compute = new ArrayList<>();
        for (TraceColumns.Lane lane : lanes) {
            boolean computes = columns.laneName(lane).equals(Lane.COMPUTE.name());
            (computes ? compute : others).add(slicesByLane[lane.index()]);
        }
        Stalls stalls = new Stalls(columns, others);
        for (int[] slices : compute) {
            for (int slice : slices) {
                stalls.see(slice);
            }
        }
        return stalls.stalls;
    }

    private void see(int slice) {
        long start = columns.start(slice);
        switch (columns.category(slice)) {
            case COMMUNICATION -> add(start, columns.end(slice), columns.peersArrived(slice));
            case COMPUTE -> {
                if (columns.waited(slice) > 0) {
                    long known = columns.peersArrived(slice);
                    add(
                            start - columns.waited(slice),
                            start,
                            known == TraceColumns.UNKNOWN ? lastArrival(start) : known);
                }
            }
            case WAIT, OTHER -> {}
        }
    }

    /** When the peers had come to the exchange that ended last before this time. */
    private long lastArrival(long time) {
        while (ended < exchanges.length && columns.end(exchanges[ended]) <= time) {
            ended++;
        }
        return ended == 0 ? 0 : columns.peersArrived(exchanges[ended - 1]);
    }

    private void add(long start, long end, long arrived) {
        long split = Math.clamp(arrived, start, end);
        if (split > start) {
            stalls.add(new Stall(start, split, true));
        }
        if (end > split) {
            stalls.add(new Stall(split, end, false));
        }
    }
}
