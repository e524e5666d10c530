package io.tsp.program;

import io.tsp.program.Exchanges.Member;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

/**
 * One run of a {@link StepGraph} on a virtual clock. Every time is the largest of some earlier times plus a duration,
 * and which ones never depends on durations. So no time can get smaller when a duration gets longer: more bandwidth
 * never slows a step down. A link that served whoever came first would not keep that promise (Graham 1966), hence the
 * order in which links serve transfers is an argument here.
 */
final class VirtualRun {
    private final StepGraph graph;
    private final long[] nanos;
    private final Traffics traffics;
    private final int[] waiting;
    private final int[] absent;
    private final int[] unmet;
    private final Deque<Integer> ready = new ArrayDeque<>();
    /** Served by time; see {@link StepGraph#precedence}. */
    private final PriorityQueue<Integer> met;

    private int finished;
    final long[] begin;
    final long[] end;
    /** When all members of a meeting had come. */
    final long[] arrived;
    /** Meetings in an order in which they can be served. */
    final List<Integer> served = new ArrayList<>();

    /** When a meeting ends that began, and what must be before it. */
    interface Traffics {
        /** Meetings that are served before this one. */
        int[] before(int meeting);

        /** Meetings that this one is served before. */
        int[] after(int meeting);

        /** The end of a meeting whose members came at a time. */
        long serve(int meeting, long arrived);
    }

    /** @param nanos duration of each step that is no exchange */
    VirtualRun(StepGraph graph, long[] nanos, Traffics traffics) {
        this.graph = graph;
        this.nanos = nanos;
        this.traffics = traffics;
        waiting = graph.dependencies.clone();
        begin = new long[graph.steps()];
        end = new long[graph.steps()];
        unmet = Arrays.stream(graph.meetingsOf).mapToInt(all -> all.length).toArray();
        arrived = new long[graph.meetings.size()];
        met = new PriorityQueue<>(Comparator.<Integer>comparingLong(meeting -> arrived[meeting])
                .thenComparingInt(meeting -> graph.precedence[meeting]));
        absent = IntStream.range(0, arrived.length)
                .map(meeting -> graph.members[meeting].length + traffics.before(meeting).length)
                .toArray();
    }

    /**
     * Runs to the end.
     *
     * @throws VerificationException if the steps wait for each other in a circle
     */
    VirtualRun run() {
        for (int step = 0; step < waiting.length; step++) {
            if (waiting[step] == 0) {
                ready.add(step);
            }
        }
        while (!ready.isEmpty() || !met.isEmpty()) {
            if (ready.isEmpty()) {
                serve(met.remove());
            } else {
                begin(ready.remove());
            }
        }
        if (finished < waiting.length) {
            throw new VerificationException("the programs deadlock: " + firstStuck() + " is never finished");
        }
        return this;
    }

    private void begin(int step) {
        int[] meetings = graph.meetingsOf[step];
        if (meetings.length == 0) {
            finish(step, begin[step] + nanos[step]);
            return;
        }
        for (int meeting : meetings) {
            arrived[meeting] = Math.max(arrived[meeting], begin[step]);
            release(meeting);
        }
    }

    /** One thing less that a meeting waits for. */
    private void release(int meeting) {
        if (--absent[meeting] == 0) {
            met.add(meeting);
        }
    }

    private void serve(int meeting) {
        served.add(meeting);
        long until = traffics.serve(meeting, arrived[meeting]);
        for (int member : graph.members[meeting]) {
            end[member] = Math.max(end[member], until);
            if (--unmet[member] == 0) {
                finish(member, end[member]);
            }
        }
        for (int next : traffics.after(meeting)) {
            release(next);
        }
    }

    private void finish(int step, long time) {
        end[step] = time;
        finished++;
        for (int follower : graph.followers[step]) {
            begin[follower] = Math.max(begin[follower], time);
            if (--waiting[follower] == 0) {
                ready.add(follower);
            }
        }
    }

    private Member firstStuck() {
        for (int rank = 0; rank < graph.schedules.size(); rank++) {
            Program program = graph.schedules.get(rank).program();
            for (Step step : program.steps()) {
                int number = graph.number(rank, step.index());
                if (waiting[number] > 0 || unmet[number] > 0) {
                    return new Member(program.rank(), step);
                }
            }
        }
        throw new IllegalStateException("nothing is stuck");
    }

    /** Meetings by the time at which their members came; those of one time in an order in which they can be served. */
    List<Integer> byArrival() {
        return served.stream()
                .sorted(Comparator.comparingLong(meeting -> arrived[meeting]))
                .toList();
    }
}
