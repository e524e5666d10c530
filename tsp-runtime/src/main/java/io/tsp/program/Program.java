package io.tsp.program;

import com.google.common.hash.Hasher;
import com.google.common.hash.Hashing;
import io.tsp.op.Access;
import io.tsp.op.CommunicationOp;
import io.tsp.tensor.Slot;
import java.util.List;
import java.util.Set;

/**
 * What one rank does in one step, in an order that is its meaning: run on one lane from first to last, it gives the
 * reference result. Immutable, a pure function of configuration, mesh and rank.
 *
 * @param slots all memory the program touches, by id
 * @param inputs slots that the host writes before a run, parameters included
 * @param outputs slots that the host reads after a run
 */
public record Program(int rank, List<Slot> slots, List<Step> steps, Set<Slot> inputs, Set<Slot> outputs) {
    public Program {
        slots = List.copyOf(slots);
        steps = List.copyOf(steps);
        inputs = Set.copyOf(inputs);
        outputs = Set.copyOf(outputs);
    }

    /** Bytes that the rank puts on the wire in a step. */
    public long bytesSent() {
        return steps.stream()
                .mapToLong(step -> step.op() instanceof CommunicationOp op ? op.bytesSent() : 0)
                .sum();
    }

    /** A hash of all that a program is, equal in all processes that built the same one. */
    public String hash() {
        Hasher hasher = Hashing.sha256().newHasher().putInt(rank);
        for (Slot slot : slots) {
            putText(hasher, slot.name());
            putText(hasher, slot.memoryClass().name());
            hasher.putLong(slot.bytes()).putBoolean(inputs.contains(slot)).putBoolean(outputs.contains(slot));
        }
        for (Step step : steps) {
            putText(hasher, step.lane().name());
            putText(hasher, step.label());
            putText(hasher, step.op().toString());
            for (Access access : step.op().accesses()) {
                // An op's text has neither: names of slots may repeat.
                hasher.putInt(access.tensor().slot().id());
                putText(hasher, access.tensor().strides().toString());
            }
        }
        return hasher.hash().toString();
    }

    /** With its length, so that no two rows of texts run together to the same bytes. */
    private static void putText(Hasher hasher, String text) {
        hasher.putInt(text.length()).putUnencodedChars(text);
    }

    /** Whether a slot keeps its contents from run to run: persistent memory, inputs and outputs. */
    boolean keeps(Slot slot) {
        return slot.memoryClass().persistent() || inputs.contains(slot) || outputs.contains(slot);
    }
}
