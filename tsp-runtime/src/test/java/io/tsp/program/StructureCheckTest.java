package io.tsp.program;

import io.tsp.op.ComputeOp.Copy;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A failure means that the other checks may be asked about programs that make no sense. */
class StructureCheckTest {
    private final World tsp = World.of(new TspScheme(3, 1), Requests.plain());

    @Test
    void findsWaitForLaterStep() {
        tsp.withWaits(1, 4, waits -> List.of(7))
                .assertDefect("rank 1", tsp.steps(1).get(4), tsp.steps(1).get(7), "does not come before it");
    }

    @Test
    void findsWaitForItself() {
        tsp.withWaits(1, 4, waits -> List.of(4))
                .assertDefect("rank 1", tsp.steps(1).get(4), "waits for step #4");
    }

    @Test
    void findsWaitForStepThatDoesNotExist() {
        tsp.withWaits(0, 4, waits -> List.of(10_000))
                .assertDefect("rank 0", tsp.steps(0).get(4), "#10000");
    }

    @Test
    void findsLanesOfAnotherProgram() {
        Schedule schedule = tsp.schedule(2);
        List<Lane> fewer = schedule.lanes().subList(1, schedule.lanes().size());
        tsp.with(2, new Schedule(schedule.program(), fewer, schedule.waits()))
                .assertDefect("rank 2", schedule.lanes().size() + " steps", "lanes for " + fewer.size());
    }

    @Test
    void findsWaitsOfAnotherProgram() {
        Schedule schedule = tsp.schedule(2);
        List<List<Integer>> fewer = schedule.waits().subList(1, schedule.waits().size());
        tsp.with(2, new Schedule(schedule.program(), schedule.lanes(), fewer))
                .assertDefect("rank 2", "waits for " + fewer.size());
    }

    @Test
    void findsProgramOfAnotherRank() {
        tsp.with(2, tsp.schedule(1)).assertDefect("the program at place 2 was built for rank 1");
    }

    @Test
    void findsStepOutOfItsPlace() {
        Schedule schedule = tsp.schedule(0);
        Program program = schedule.program();
        List<Step> steps = new ArrayList<>(program.steps());
        Step moved = steps.get(3);
        steps.set(2, moved);
        Program spoiled = new Program(0, program.slots(), steps, program.inputs(), program.outputs());
        tsp.with(0, new Schedule(spoiled, schedule.lanes(), schedule.waits()))
                .assertDefect("rank 0", moved, "it stands at place 2");
    }

    @Test
    void findsForeignSlot() {
        Tensor foreign = Tensor.dense(new Slot(0, "foreign", MemoryClass.TRANSIENT, 4), 0, DType.F32, Shape.of(1));
        Step step = tsp.steps(1).getFirst();
        tsp.withOp(1, step, new Copy(foreign, foreign)).assertDefect("rank 1", "#0 copy", "slot foreign");
    }

    @Test
    void findsForeignOutput() {
        Schedule schedule = tsp.schedule(0);
        Program program = schedule.program();
        Slot foreign = new Slot(0, "foreign", MemoryClass.HOST, 4);
        Program spoiled = new Program(0, program.slots(), program.steps(), program.inputs(), Set.of(foreign));
        tsp.with(0, new Schedule(spoiled, schedule.lanes(), schedule.waits()))
                .assertDefect("rank 0", "output foreign is not one of the program's slots");
    }

    @Test
    void findsSlotsInWrongOrder() {
        Schedule schedule = tsp.schedule(0);
        Program program = schedule.program();
        List<Slot> reversed = program.slots().reversed();
        Program spoiled = new Program(0, reversed, program.steps(), program.inputs(), program.outputs());
        tsp.with(0, new Schedule(spoiled, schedule.lanes(), schedule.waits()))
                .assertDefect("rank 0", "slot " + reversed.getFirst(), "place 0");
    }
}
