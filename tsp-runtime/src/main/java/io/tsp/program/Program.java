package io.tsp.program;

import com.google.common.hash.Hashing;
import io.tsp.tensor.Slot;
import java.nio.charset.StandardCharsets;
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

    /** A hash of every step and slot, equal in all processes that built the same program. */
    public String hash() {
        var hasher = Hashing.sha256().newHasher();
        for (Slot slot : slots) {
            hasher.putString(slot.name() + slot.memoryClass() + slot.bytes(), StandardCharsets.UTF_8);
        }
        for (Step step : steps) {
            hasher.putString(step.lane() + step.op().toString() + step.label(), StandardCharsets.UTF_8);
        }
        return hasher.hash().toString();
    }

    /** Whether a slot keeps its contents from run to run: persistent memory, inputs and outputs. */
    boolean keeps(Slot slot) {
        return slot.memoryClass().persistent() || inputs.contains(slot) || outputs.contains(slot);
    }

}
