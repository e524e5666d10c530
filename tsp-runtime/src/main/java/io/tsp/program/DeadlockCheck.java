package io.tsp.program;

import io.tsp.program.DryRun.Stuck;
import java.util.List;
import java.util.stream.Collectors;

/** Proves that the lanes of all ranks, with their waits and exchanges, come to their end. */
final class DeadlockCheck {
    private DeadlockCheck() {}

    static void check(List<Schedule> schedules, Exchanges exchanges) {
        List<Stuck> stuck = DryRun.run(schedules, exchanges);
        if (!stuck.isEmpty()) {
            throw new VerificationException("the programs deadlock: "
                    + stuck.stream().map(DeadlockCheck::describe).collect(Collectors.joining("; ")));
        }
    }

    private static String describe(Stuck stuck) {
        return stuck.head() + " on lane " + stuck.lane() + " waits for " + stuck.missing();
    }
}
