package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.op.Op;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/** Schedules of all ranks, and ways to plant a defect in one of them. Immutable. */
record World(List<Schedule> schedules) {
    static World of(Scheme scheme, ForwardRequest request) {
        return new World(IntStream.range(0, scheme.mesh().worldSize())
                .mapToObj(rank ->
                        Schedule.overlapped(scheme.forward(request, rank).program()))
                .toList());
    }

    static World of(ProgramBuilder... builders) {
        return new World(Arrays.stream(builders)
                .map(builder -> Schedule.overlapped(builder.build()))
                .toList());
    }

    Schedule schedule(int rank) {
        return schedules.get(rank);
    }

    List<Step> steps(int rank) {
        return schedule(rank).program().steps();
    }

    /** The n-th step of a rank that runs an op of this type. */
    Step step(int rank, Class<? extends Op> type, int n) {
        return steps(rank).stream()
                .filter(step -> type.isInstance(step.op()))
                .skip(n)
                .findFirst()
                .orElseThrow();
    }

    /** The op of that step. */
    <T extends Op> T op(int rank, Class<T> type, int n) {
        return type.cast(step(rank, type, n).op());
    }

    World with(int rank, Schedule schedule) {
        List<Schedule> changed = new ArrayList<>(schedules);
        changed.set(rank, schedule);
        return new World(changed);
    }

    /** Another program on one rank, with waits that fit it. */
    World withSteps(int rank, Consumer<List<Step>> change) {
        Program program = schedule(rank).program();
        List<Step> steps = new ArrayList<>(program.steps());
        change.accept(steps);
        List<Step> numbered = IntStream.range(0, steps.size())
                .mapToObj(i -> new Step(
                        i, steps.get(i).lane(), steps.get(i).op(), steps.get(i).label()))
                .toList();
        return with(
                rank,
                Schedule.overlapped(new Program(rank, program.slots(), numbered, program.inputs(), program.outputs())));
    }

    /** Another op at the place of a step. */
    World withOp(int rank, Step step, Op op) {
        return withSteps(rank, steps -> steps.set(step.index(), new Step(step.index(), step.lane(), op, step.label())));
    }

    World without(int rank, Step step) {
        return withSteps(rank, steps -> steps.remove(step.index()));
    }

    /** Two steps of a rank in each other's place. */
    World swapped(int rank, Step a, Step b) {
        return withSteps(rank, steps -> {
            steps.set(a.index(), b);
            steps.set(b.index(), a);
        });
    }

    /** Other waits of one step. */
    World withWaits(int rank, int step, UnaryOperator<List<Integer>> change) {
        Schedule schedule = schedule(rank);
        List<List<Integer>> waits = new ArrayList<>(schedule.waits());
        waits.set(step, change.apply(waits.get(step)));
        return with(rank, new Schedule(schedule.program(), schedule.lanes(), waits));
    }

    World withoutWait(int rank, int step, int wait) {
        return withWaits(
                rank, step, waits -> waits.stream().filter(w -> w != wait).toList());
    }

    void verify() {
        Verifier.verify(schedules);
    }

    /** Fails unless verification does, with a message that has all parts. */
    void assertDefect(Object... parts) {
        assertMessage(assertThrows(VerificationException.class, this::verify), parts);
    }

    static void assertMessage(VerificationException e, Object... parts) {
        String message = String.valueOf(e.getMessage());
        for (Object part : parts) {
            assertTrue(message.contains(part.toString()), () -> "\"" + part + "\" is missing in: " + message);
        }
    }
}
