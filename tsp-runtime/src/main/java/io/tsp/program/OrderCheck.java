package io.tsp.program;

import io.tsp.program.DryRun.Stuck;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Proves that one order of all exchanges agrees with the program order of every rank, whatever lane or group they
 * belong to. Libraries that order exchanges on a device by the order of the host's calls (NCCL: several communicators
 * per device) hang otherwise, and so does a sequential run.
 */
final class OrderCheck {
    private OrderCheck() {}

    /** Such an order exists exactly if all ranks get through on one lane each. */
    static void check(List<Schedule> schedules, Exchanges exchanges) {
        List<Schedule> onOneLane = schedules.stream().map(OrderCheck::onOneLane).toList();
        List<Stuck> stuck = DryRun.run(onOneLane, exchanges);
        if (!stuck.isEmpty()) {
            throw new VerificationException("no order of the exchanges suits all ranks: "
                    + cycle(stuck).stream().map(OrderCheck::describe).collect(Collectors.joining("; ")));
        }
    }

    private static Schedule onOneLane(Schedule schedule) {
        int steps = schedule.program().steps().size();
        return new Schedule(
                schedule.program(), Collections.nCopies(steps, Lane.COMPUTE), Collections.nCopies(steps, List.of()));
    }

    /** From any stuck rank, going on to the one that it waits for leads into a cycle: that one is stuck as well. */
    private static List<Stuck> cycle(List<Stuck> stuck) {
        List<Stuck> way = new ArrayList<>();
        Stuck next = stuck.getFirst();
        while (!way.contains(next)) {
            way.add(next);
            next = ofRank(next.missing().rank(), stuck);
        }
        return way.subList(way.indexOf(next), way.size());
    }

    private static Stuck ofRank(int rank, List<Stuck> stuck) {
        return stuck.stream()
                .filter(one -> one.head().rank() == rank)
                .findFirst()
                .orElseThrow();
    }

    private static String describe(Stuck stuck) {
        return stuck.head() + " comes first, but waits for " + stuck.missing();
    }
}
