package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a race between lanes is not seen before the run, or seen where there is none. */
class HazardCheckTest {
    private final World tsp = World.of(new TspScheme(3, 1), Requests.plain());

    static LongStream seeds() {
        return LongStream.range(0, 60);
    }

    @Test
    void findsEveryDroppedWait() {
        int dropped = 0;
        for (Step step : tsp.steps(1)) {
            for (int wait : tsp.schedule(1).waits().get(step.index())) {
                tsp.withoutWait(1, step.index(), wait)
                        .assertDefect("rank 1", step, tsp.steps(1).get(wait), "no wait orders the two");
                dropped++;
            }
        }
        assertTrue(dropped > 20, "only " + dropped + " waits");
    }

    @Test
    void findsReadBeforeGatheredKeysArrive() {
        Step gather = tsp.step(0, AllGather.class, 0);
        Step attention = firstWaiterFor(0, gather);
        tsp.withoutWait(0, attention.index(), gather.index())
                .assertDefect("rank 0", attention, gather, "reads slot gathered keys and values 0", "lane KV");
    }

    /** The last of three slots is filled again while its old weights are in use: the hazard of a shorter pipeline. */
    @Test
    void findsWeightSlotReusedBeforeItsLastReader() {
        Step arrival = tsp.steps(0).stream()
                .filter(step -> step.op() instanceof Broadcast broadcast && broadcast.root() != broadcast.self())
                .filter(step -> !tsp.schedule(0).waits().get(step.index()).isEmpty())
                .findFirst()
                .orElseThrow();
        Step reader =
                tsp.steps(0).get(tsp.schedule(0).waits().get(arrival.index()).getFirst());
        tsp.withoutWait(0, arrival.index(), reader.index())
                .assertDefect("rank 0", arrival, reader, "writes slot attention weights", "uses it on lane COMPUTE");
    }

    private Step firstWaiterFor(int rank, Step step) {
        return tsp.steps(rank).stream()
                .filter(other -> tsp.schedule(rank).waits().get(other.index()).contains(step.index()))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void findsTwoWritersOfOneSlot() {
        twoCopies(0, 8, 0, 8).assertDefect("rank 0", "#1 copy", "#0 copy", "writes slot target", "lane KV");
    }

    @Test
    void findsWritersThatMeetInOneElement() {
        twoCopies(0, 5, 4, 4).assertDefect("#1 copy", "#0 copy", "slot target");
    }

    @Test
    void letsWritersOfNeighbouringBytesOverlap() {
        twoCopies(0, 4, 4, 4).verify();
    }

    /** Two copies of 8 elements into parts of one slot, on two lanes, without waits. */
    private static World twoCopies(long firstAt, long firstCount, long secondAt, long secondCount) {
        ProgramBuilder builder = new ProgramBuilder(0);
        Tensor source = builder.input("source", MemoryClass.HOST, DType.F32, 8);
        Tensor target = builder.allocate("target", MemoryClass.TRANSIENT, DType.F32, 8);
        builder.compute(new Copy(source.rows(0, firstCount), target.rows(firstAt, firstCount)));
        builder.compute(new Copy(source.rows(0, secondCount), target.rows(secondAt, secondCount)));
        return new World(
                List.of(new Schedule(builder.build(), List.of(Lane.COMPUTE, Lane.KV), List.of(List.of(), List.of()))));
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void agreesWithComparingAllPairs(long seed) {
        RandomPrograms random = new RandomPrograms(seed);
        Schedule schedule = random.thinned(Schedule.overlapped(random.next(12, 30)));
        assertEquals(RandomPrograms.isRaceFree(schedule), isAccepted(schedule));
    }

    private static boolean isAccepted(Schedule schedule) {
        try {
            HazardCheck.check(schedule, schedule.happensBefore());
            return true;
        } catch (VerificationException e) {
            return false;
        }
    }

    /** Every wait of a derived schedule is needed, so without any one of them two steps race. */
    @ParameterizedTest
    @MethodSource("seeds")
    void findsEveryDroppedWaitOfARandomProgram(long seed) {
        World world = new World(List.of(Schedule.overlapped(new RandomPrograms(seed).next(6, 40))));
        for (Step step : world.steps(0)) {
            for (int wait : world.schedule(0).waits().get(step.index())) {
                assertFalse(
                        isAccepted(world.withoutWait(0, step.index(), wait).schedule(0)),
                        () -> step + " without its wait for " + wait);
            }
        }
    }

    /** Otherwise the comparison with all pairs would compare always the same answer. */
    @Test
    void randomProgramsAreOfBothKinds() {
        long raceFree = seeds().filter(seed -> {
                    RandomPrograms random = new RandomPrograms(seed);
                    return RandomPrograms.isRaceFree(random.thinned(Schedule.overlapped(random.next(12, 30))));
                })
                .count();
        assertTrue(raceFree > 5 && raceFree < 55, raceFree + " of 60 are race-free");
    }
}
