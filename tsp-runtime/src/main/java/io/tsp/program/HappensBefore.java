package io.tsp.program;

import java.util.Arrays;
import java.util.List;

/**
 * Which steps are certainly finished before which others begin, given lanes and waits: a vector clock per step (Fidge,
 * Mattern), one entry per lane, holding the last step of that lane that happens before.
 */
final class HappensBefore {
    private static final int LANES = Lane.values().length;

    private final int[][] clocks;
    private final int[] lanes;

    private HappensBefore(int[][] clocks, int[] lanes) {
        this.clocks = clocks;
        this.lanes = lanes;
    }

    /**
     * @param lanes lane of each step
     * @param waits for each step, the earlier steps it waits for
     */
    static HappensBefore of(List<Lane> lanes, List<List<Integer>> waits) {
        Incremental clock = new Incremental(lanes.size());
        for (int step = 0; step < lanes.size(); step++) {
            clock.begin(step, lanes.get(step));
            for (int wait : waits.get(step)) {
                clock.join(step, wait);
            }
        }
        return clock.finish();
    }

    /** Whether step a is finished before step b begins. */
    boolean ordered(int a, int b) {
        return a < b && clocks[b][lanes[a]] >= a;
    }

    /** The same clocks, while steps are still being added in program order. */
    static final class Incremental {
        private final int[][] clocks;
        private final int[] lanes;
        private final int[] lastOfLane = new int[LANES];

        Incremental(int steps) {
            clocks = new int[steps][];
            lanes = new int[steps];
            Arrays.fill(lastOfLane, -1);
        }

        /** Starts a step behind the last one of its lane. */
        void begin(int step, Lane lane) {
            int previous = lastOfLane[lane.ordinal()];
            int[] clock = new int[LANES];
            if (previous < 0) {
                Arrays.fill(clock, -1);
            } else {
                System.arraycopy(clocks[previous], 0, clock, 0, LANES);
                clock[lane.ordinal()] = previous;
            }
            clocks[step] = clock;
            lanes[step] = lane.ordinal();
            lastOfLane[lane.ordinal()] = step;
        }

        boolean ordered(int a, int b) {
            return clocks[b][lanes[a]] >= a;
        }

        /** Makes step wait for an earlier one. */
        void join(int step, int earlier) {
            for (int lane = 0; lane < LANES; lane++) {
                clocks[step][lane] = Math.max(clocks[step][lane], clocks[earlier][lane]);
            }
            clocks[step][lanes[earlier]] = Math.max(clocks[step][lanes[earlier]], earlier);
        }

        HappensBefore finish() {
            return new HappensBefore(clocks, lanes);
        }
    }
}
