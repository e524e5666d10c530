package io.tsp.program;

import io.tsp.program.Exchanges.Exchange;
import io.tsp.program.Exchanges.Member;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Runs the schedules of all ranks without doing their work. A step begins when the one before it on its lane and those
 * it waits for are finished; it is finished when every member of its exchanges has begun. Whether all get to their end
 * does not depend on speed: to begin or finish a step never takes that chance from another, so one run speaks for all.
 */
final class DryRun {
    private final Exchanges exchanges;
    private final int[] begun;
    private final List<Queue> queues = new ArrayList<>();
    private final boolean[][] isBegun;
    private final boolean[][] isFinished;

    /** The steps of one lane of one rank, in order. */
    private record Queue(Schedule schedule, Lane lane, List<Step> steps, int[] next) {
        boolean isEmpty() {
            return next[0] == steps.size();
        }

        Step head() {
            return steps.get(next[0]);
        }

        int rank() {
            return schedule.program().rank();
        }
    }

    /** A step at the head of its lane that never gets finished, and one of its rank or of a peer that it waits for. */
    record Stuck(Lane lane, Member head, Member missing) {}

    private DryRun(List<Schedule> schedules, Exchanges exchanges) {
        this.exchanges = exchanges;
        this.begun = new int[exchanges.count()];
        this.isBegun = new boolean[schedules.size()][];
        this.isFinished = new boolean[schedules.size()][];
        for (Schedule schedule : schedules) {
            int rank = schedule.program().rank();
            isBegun[rank] = new boolean[schedule.lanes().size()];
            isFinished[rank] = new boolean[schedule.lanes().size()];
            addQueues(schedule);
        }
    }

    private void addQueues(Schedule schedule) {
        for (Lane lane : Lane.values()) {
            List<Step> steps = schedule.program().steps().stream()
                    .filter(step -> schedule.lanes().get(step.index()) == lane)
                    .toList();
            queues.add(new Queue(schedule, lane, steps, new int[1]));
        }
    }

    /** Runs to the end, or until nothing moves; returns the lanes that did not come to their end. */
    static List<Stuck> run(List<Schedule> schedules, Exchanges exchanges) {
        DryRun run = new DryRun(schedules, exchanges);
        boolean moved = true;
        while (moved) {
            moved = false;
            for (Queue queue : run.queues) {
                moved |= run.advance(queue);
            }
        }
        return run.queues.stream()
                .filter(queue -> !queue.isEmpty())
                .map(run::stuck)
                .toList();
    }

    /** Takes a lane as far as it gets; returns whether a step of it began or finished. */
    private boolean advance(Queue queue) {
        boolean moved = false;
        while (!queue.isEmpty()) {
            Step head = queue.head();
            if (!isBegun[queue.rank()][head.index()]) {
                if (firstUnfinished(queue).isPresent()) {
                    return moved;
                }
                begin(queue.rank(), head);
                moved = true;
            }
            if (firstAbsent(queue).isPresent()) {
                return moved;
            }
            isFinished[queue.rank()][head.index()] = true;
            queue.next[0]++;
            moved = true;
        }
        return moved;
    }

    private void begin(int rank, Step step) {
        isBegun[rank][step.index()] = true;
        exchanges.of(rank, step.index()).forEach(exchange -> begun[exchange.id()]++);
    }

    private Optional<Member> firstUnfinished(Queue queue) {
        for (int wait : queue.schedule.waits().get(queue.head().index())) {
            if (!isFinished[queue.rank()][wait]) {
                return Optional.of(new Member(
                        queue.rank(), queue.schedule.program().steps().get(wait)));
            }
        }
        return Optional.empty();
    }

    private Optional<Member> firstAbsent(Queue queue) {
        for (Exchange exchange : exchanges.of(queue.rank(), queue.head().index())) {
            if (begun[exchange.id()] < exchange.members().size()) {
                return exchange.members().stream()
                        .filter(member -> !isBegun[member.rank()][member.step().index()])
                        .findFirst();
            }
        }
        return Optional.empty();
    }

    private Stuck stuck(Queue queue) {
        Member missing = firstUnfinished(queue).or(() -> firstAbsent(queue)).orElseThrow();
        return new Stuck(queue.lane, new Member(queue.rank(), queue.head()), missing);
    }
}
