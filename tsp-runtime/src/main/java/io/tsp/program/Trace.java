package io.tsp.program;

import io.tsp.op.CommunicationOp;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * What happened when, in one run of a schedule on one rank.
 *
 * @param spans one for each step, in program order
 */
public record Trace(Schedule schedule, List<Span> spans) {
    /**
     * One step's time, in nanoseconds of the rank's clock.
     *
     * @param ready when its lane had come to it
     * @param start when what it waits for on other lanes was finished
     * @param peersArrived when all ranks of an exchange had come to it; 0 for work of one rank
     */
    public record Span(long ready, long start, long end, long peersArrived) {}

    public Trace {
        spans = List.copyOf(spans);
    }

    public int rank() {
        return schedule.program().rank();
    }

    /** From the first step's begin to the last one's end. */
    public long nanos() {
        long begin = spans.stream().mapToLong(Span::ready).min().orElse(0);
        long end = spans.stream().mapToLong(Span::end).max().orElse(0);
        return end - begin;
    }

    /** Time that the compute lane waited for a peer that had not come to an exchange, in nanoseconds. */
    public long skewNanos() {
        return waitedNanos(true);
    }

    /** Time that the compute lane waited for bytes on their way although every peer had come, in nanoseconds. */
    public long exposedTransferNanos() {
        return waitedNanos(false);
    }

    /** The same for each lane whose bytes were waited for. */
    public Map<Lane, Long> exposedTransferNanosByLane() {
        return waitedNanosByLane(false);
    }

    private long waitedNanos(boolean forPeers) {
        return waitedNanosByLane(forPeers).values().stream()
                .mapToLong(Long::longValue)
                .sum();
    }

    private Map<Lane, Long> waitedNanosByLane(boolean forPeers) {
        Map<Lane, Long> total = new EnumMap<>(Lane.class);
        for (Step step : schedule.program().steps()) {
            Span span = spans.get(step.index());
            if (schedule.lanes().get(step.index()) != Lane.COMPUTE) {
                continue;
            }
            if (step.op() instanceof CommunicationOp) {
                total.merge(step.lane(), part(span.start, span.end, span.peersArrived, forPeers), Long::sum);
            } else if (span.start > span.ready) {
                int last = lastWait(step);
                long arrival = last < 0 ? 0 : spans.get(last).peersArrived;
                Lane lane = last < 0 ? Lane.COMPUTE : schedule.lanes().get(last);
                total.merge(lane, part(span.ready, span.start, arrival, forPeers), Long::sum);
            }
        }
        return total;
    }

    private static long part(long from, long to, long arrived, boolean forPeers) {
        long split = Math.clamp(arrived, from, to);
        return forPeers ? split - from : to - split;
    }

    /** The step of another lane that held this one up longest; -1 if none did. */
    private int lastWait(Step step) {
        long end = Long.MIN_VALUE;
        int last = -1;
        for (int wait : schedule.waits().get(step.index())) {
            if (spans.get(wait).end > end) {
                end = spans.get(wait).end;
                last = wait;
            }
        }
        return last;
    }
}
