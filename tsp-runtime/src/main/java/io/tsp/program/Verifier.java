package io.tsp.program;

import java.util.List;
import java.util.Map;

/**
 * Proves, before anything is allocated, that programs cannot race, mismatch or hang. It trusts neither the code that
 * builds programs nor the one that derives waits or places slots: everything is recomputed from operands, lanes and
 * waits alone.
 */
public final class Verifier {
    private Verifier() {}

    /**
     * Proves the schedules of all ranks of the world.
     *
     * @param schedules one for each rank, by rank
     * @throws VerificationException naming the first defect, its ranks, steps and slot
     */
    public static void verify(List<Schedule> schedules) {
        for (int rank = 0; rank < schedules.size(); rank++) {
            verifyRank(rank, schedules);
        }
        Exchanges exchanges = ExchangeMatcher.match(schedules);
        DeadlockCheck.check(schedules, exchanges);
        OrderCheck.check(schedules, exchanges);
    }

    private static void verifyRank(int rank, List<Schedule> schedules) {
        Schedule schedule = schedules.get(rank);
        StructureCheck.check(rank, schedule);
        HappensBefore order = schedule.happensBefore();
        HazardCheck.check(schedule, order);
        InitializationCheck.check(schedule.program());
        CommunicationCheck.check(schedule, order, schedules.size());
    }

    /**
     * Proves a memory plan of a schedule that was verified.
     *
     * @param workspaceBytes the most scratch memory that any op of a lane asks for
     * @throws VerificationException naming the slots, or the arena, that are placed wrongly
     */
    public static void verifyPlan(Schedule schedule, MemoryPlan plan, Map<Lane, Long> workspaceBytes) {
        PlanCheck.check(schedule, plan, workspaceBytes);
    }
}
