package io.tsp.program;

import com.google.common.collect.Range;
import com.google.common.collect.RangeSet;
import com.google.common.collect.TreeRangeSet;
import io.tsp.op.Access;
import io.tsp.tensor.Slot;
import java.util.ArrayList;
import java.util.List;

/**
 * Proves that every byte that a step reads was written by an earlier one or by the host, and that every byte of an
 * output is written. Program order suffices here: that a write is finished before a later read of the same byte begins
 * is what {@link HazardCheck} proves. A strided write counts with all that lies between its elements.
 */
final class InitializationCheck {
    private final Program program;
    private final List<RangeSet<Long>> written = new ArrayList<>();

    private InitializationCheck(Program program) {
        this.program = program;
        for (Slot slot : program.slots()) {
            RangeSet<Long> bytes = TreeRangeSet.create();
            if (program.inputs().contains(slot)) {
                bytes.add(Range.closedOpen(0L, slot.bytes()));
            }
            written.add(bytes);
        }
    }

    static void check(Program program) {
        InitializationCheck check = new InitializationCheck(program);
        program.steps().forEach(check::step);
        program.slots().stream().filter(program.outputs()::contains).forEach(check::output);
    }

    private void step(Step step) {
        for (Access access : step.op().accesses()) {
            Range<Long> bytes = bytes(access);
            RangeSet<Long> known = written.get(access.tensor().slot().id());
            if (access.mode().reads() && !bytes.isEmpty() && !known.encloses(bytes)) {
                throw VerificationException.at(
                        program.rank(),
                        step,
                        "it reads bytes " + firstGap(known, bytes) + " of slot "
                                + access.tensor().slot() + ", which nothing has written before");
            }
        }
        for (Access access : step.op().accesses()) {
            if (access.mode().writes()) {
                written.get(access.tensor().slot().id()).add(bytes(access));
            }
        }
    }

    private void output(Slot slot) {
        Range<Long> bytes = Range.closedOpen(0L, slot.bytes());
        if (!bytes.isEmpty() && !written.get(slot.id()).encloses(bytes)) {
            throw new VerificationException("rank " + program.rank() + ": bytes "
                    + firstGap(written.get(slot.id()), bytes) + " of output " + slot + " are never written");
        }
    }

    private static Range<Long> bytes(Access access) {
        return Range.closedOpen(access.tensor().byteOffset(), access.tensor().byteEnd());
    }

    private static String firstGap(RangeSet<Long> known, Range<Long> bytes) {
        Range<Long> gap =
                known.complement().subRangeSet(bytes).asRanges().iterator().next();
        return "[" + gap.lowerEndpoint() + ", " + gap.upperEndpoint() + ")";
    }
}
