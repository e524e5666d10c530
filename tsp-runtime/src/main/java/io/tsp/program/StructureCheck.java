package io.tsp.program;

import com.google.common.collect.Sets;
import io.tsp.op.Access;
import io.tsp.tensor.Slot;
import java.util.List;

/** What the other checks take for granted: numbers that fit each other, slots that exist, waits that point backward. */
final class StructureCheck {
    private final int rank;
    private final Schedule schedule;
    private final List<Step> steps;

    private StructureCheck(int rank, Schedule schedule) {
        this.rank = rank;
        this.schedule = schedule;
        this.steps = schedule.program().steps();
    }

    static void check(int rank, Schedule schedule) {
        StructureCheck check = new StructureCheck(rank, schedule);
        check.sizes();
        check.slots();
        for (int i = 0; i < check.steps.size(); i++) {
            check.step(i, check.steps.get(i));
        }
    }

    private void sizes() {
        if (schedule.program().rank() != rank) {
            throw new VerificationException("the program at place " + rank + " was built for rank "
                    + schedule.program().rank());
        }
        if (schedule.lanes().size() != steps.size() || schedule.waits().size() != steps.size()) {
            throw new VerificationException("rank " + rank + " has " + steps.size() + " steps, but lanes for "
                    + schedule.lanes().size() + " and waits for "
                    + schedule.waits().size());
        }
    }

    private void slots() {
        Program program = schedule.program();
        for (int i = 0; i < program.slots().size(); i++) {
            Slot slot = program.slots().get(i);
            if (slot.id() != i) {
                throw new VerificationException(
                        "rank " + rank + ": slot " + slot + " has id " + slot.id() + " but stands at place " + i);
            }
        }
        for (Slot slot : Sets.union(program.inputs(), program.outputs())) {
            if (!isKnown(slot)) {
                throw new VerificationException(
                        "rank " + rank + ": input or output " + slot + " is not one of the program's slots");
            }
        }
    }

    private void step(int index, Step step) {
        if (step.index() != index) {
            throw VerificationException.at(rank, step, "it stands at place " + index + " of the program");
        }
        for (Access access : step.op().accesses()) {
            if (!isKnown(access.tensor().slot())) {
                throw VerificationException.at(
                        rank, step, "slot " + access.tensor().slot() + " is not one of the program's");
            }
        }
        for (int wait : schedule.waits().get(step.index())) {
            if (wait < 0 || wait >= step.index()) {
                throw VerificationException.at(
                        rank,
                        step,
                        "it waits for step " + name(wait) + ", which does not come before it in program order");
            }
        }
    }

    private boolean isKnown(Slot slot) {
        List<Slot> slots = schedule.program().slots();
        return slot.id() >= 0
                && slot.id() < slots.size()
                && slots.get(slot.id()).equals(slot);
    }

    private String name(int index) {
        return index >= 0 && index < steps.size() ? steps.get(index).toString() : "#" + index;
    }
}
