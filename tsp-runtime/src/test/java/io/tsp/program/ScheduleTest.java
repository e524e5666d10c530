package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.scheme.tsp.TspScheme;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that lanes race, or wait for what they need not wait for. */
class ScheduleTest {
    static LongStream seeds() {
        return LongStream.range(0, 40);
    }

    @Test
    void overlappedProgramsWaitAcrossLanes() {
        Schedule schedule = World.of(new TspScheme(3, 1), Requests.plain()).schedule(1);
        assertTrue(schedule.lanes().contains(Lane.WEIGHTS));
        int waits = 0;
        for (Step step : schedule.program().steps()) {
            for (int wait : schedule.waits().get(step.index())) {
                assertTrue(wait < step.index());
                assertFalse(schedule.lanes().get(wait) == step.lane(), step + " waits on its own lane");
                waits++;
            }
        }
        assertTrue(waits > 10, "only " + waits + " waits");
    }

    @Test
    void transfersOfWeightsRunBesideCompute() {
        Schedule schedule = World.of(new TspScheme(3, 1), Requests.plain()).schedule(0);
        boolean[][] before = RandomPrograms.closure(schedule);
        for (Step step : schedule.program().steps()) {
            if (step.lane() == Lane.WEIGHTS) {
                assertTrue(
                        schedule.program().steps().stream()
                                .filter(other -> other.lane() == Lane.COMPUTE)
                                .anyMatch(other ->
                                        !before[step.index()][other.index()] && !before[other.index()][step.index()]),
                        step + " overlaps with nothing");
            }
        }
    }

    @Test
    void sequentialProgramsNeverWait() {
        Program program =
                World.of(new TspScheme(3, 1), Requests.plain()).schedule(0).program();
        Schedule schedule = Schedule.sequential(program);
        assertEquals(List.of(Lane.COMPUTE), schedule.lanes().stream().distinct().toList());
        assertTrue(schedule.waits().stream().allMatch(List::isEmpty));
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void waitsOrderEveryConflict(long seed) {
        assertTrue(RandomPrograms.isRaceFree(Schedule.overlapped(new RandomPrograms(seed).next(5, 60))));
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void noWaitFollowsFromOthers(long seed) {
        Schedule schedule = Schedule.overlapped(new RandomPrograms(seed).next(8, 40));
        for (int step = 0; step < schedule.waits().size(); step++) {
            for (int wait : schedule.waits().get(step)) {
                List<List<Integer>> waits = new ArrayList<>(schedule.waits());
                waits.set(step, waits.get(step).stream().filter(w -> w != wait).toList());
                Schedule thinner = new Schedule(schedule.program(), schedule.lanes(), waits);
                assertFalse(RandomPrograms.closure(thinner)[wait][step], "step " + step + " need not wait for " + wait);
            }
        }
    }
}
