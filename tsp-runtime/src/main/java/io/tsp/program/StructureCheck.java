package io.tsp.program;

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
        schedule.program().steps().forEach(check::step);
    }

    private void sizes() {
        if (schedule.program().rank() != rank) {
            throw new VerificationException(
                    "the program at place " + rank + " was built for rank " + schedule.program().rank());
        }
        if (schedule.lanes().size() != steps.size() || schedule.waits().size() != steps.size()) {
            throw new VerificationException("rank " + rank + " has " + steps.size() + " steps, but lanes for "
                    + schedule.lanes().size() + " and waits for " + schedule.waits().size());
        }
    }

    private void slots() {
        List<Slot> slots = schedule.program().slots();
        for (int i = 0; i < slots.size(); i++) {
            if (slots.get(i).id() != i) {
                throw new VerificationException("rank " + rank + ": slot " + slots.get(i) + " has id "
                        + slots.get(i).id() + " but stands at place " + i);
            }
        }
    }

    private void step(Step step) {
        if (step.index() >= steps.size() || steps.get(step.index()) != step) {
            throw VerificationException.at(rank, step, "it does not stand at its place in the program");
        }
        for (Access access : step.op().accesses()) {
            if (!isKnown(access.tensor().slot())) {
                throw VerificationException.at(
                        rank, step, "slot " + access.tensor().slot() + " is not one of the program's");
            }
        }
        for (int wait : schedule.waits().get(step.index())) {
            if (wait < 0 || wait >= step.index()) {
                throw VerificationException.at(rank, step, "it waits for step " + name(wait)
                        + ", which does not come before it in program order");
            }
        }
    }

    private boolean isKnown(Slot slot) {
        List<Slot> slots = schedule.program().slots();
        return slot.id() >= 0 && slot.id() < slots.size() && slots.get(slot.id()).equals(slot);
    }

    private String name(int index) {
        return index >= 0 && index < steps.size() ? steps.get(index).toString() : "#" + index;
    }
}
