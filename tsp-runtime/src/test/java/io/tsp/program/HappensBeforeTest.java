package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that every proof about races and memory rests on a wrong order. */
class HappensBeforeTest {
    static LongStream seeds() {
        return LongStream.range(0, 30);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void clocksAgreeWithFollowingEveryPath(long seed) {
        RandomPrograms random = new RandomPrograms(seed);
        Schedule schedule = random.thinned(Schedule.overlapped(random.next(6, 40)));
        HappensBefore order = schedule.happensBefore();
        boolean[][] before = RandomPrograms.closure(schedule);
        for (int a = 0; a < before.length; a++) {
            for (int b = 0; b < before.length; b++) {
                assertEquals(before[a][b], order.ordered(a, b), "step " + a + " before step " + b);
            }
        }
    }
}
