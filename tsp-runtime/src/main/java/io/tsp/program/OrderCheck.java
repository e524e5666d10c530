package io.tsp.program;

import io.tsp.program.DryRun.Stuck;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Proves that one order of all exchanges agrees with the program order of every rank, whatever lane or group they belong
 * to. Libraries that order exchanges on a device by the order of the host's calls (NCCL: several communicators per
 * device) hang otherwise, and so does a sequential run.
 */
final class OrderCheck {
    private OrderCheck() {}

    /** Such an order exists exactly if all ranks get through on one lane each. */
    static void check(List<Schedule> schedules, Exchanges exchanges) {
        List<Schedule> onOneLane = schedules.stream().map(OrderCheck::onOneLane).toList();
        Map<Integer, Stuck> ofRank = new HashMap<>();
        DryRun.run(onOneLane, exchanges).forEach(stuck -> ofRank.put(stuck.head().rank(), stuck));
        if (!ofRank.isEmpty()) {
            throw new VerificationException("no order of the exchanges suits all ranks: "
                    + cycle(ofRank).stream().map(OrderCheck::describe).collect(Collectors.joining("; ")));
        }
    }

    private static Schedule onOneLane(Schedule schedule) {
        int steps = schedule.program().steps().size();
        return new Schedule(
                schedule.program(), Collections.nCopies(steps, Lane.COMPUTE), Collections.nCopies(steps, List.of()));
    }

    /** Who waits for whom: from any stuck rank the way leads into a cycle, because each waits for one that is stuck. */
    private static List<Stuck> cycle(Map<Integer, Stuck> ofRank) {
        List<Stuck> way = new ArrayList<>();
        Stuck next = ofRank.get(Collections.min(ofRank.keySet()));
        while (!way.contains(next)) {
            way.add(next);
            next = ofRank.get(next.missing().rank());
        }
        return way.subList(way.indexOf(next), way.size());
    }

    private static String describe(Stuck stuck) {
        return stuck.head() + " comes first, but waits for " + stuck.missing();
    }
}
