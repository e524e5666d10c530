package io.tsp.train;

import io.tsp.evaluate.ForwardPlan;
import io.tsp.evaluate.MemoryNeed;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * All programs of a run of training, before anything is allocated.
 *
 * @param steps with an optimizer
 * @param evaluation of the held-out sequences, with the weights of the steps; null for none
 * @param sample of one sequence with logits; null for none
 */
public record RunPlan(
        TrainingPlan steps,
        @Nullable ForwardPlan evaluation,
        @Nullable ForwardPlan sample) {

    /** What it needs before a device is known; copies for checkpoints count. */
    public MemoryNeed memory() {
        MemoryNeed training = steps.memory();
        List<MemoryNeed> readers = new ArrayList<>();
        if (evaluation != null) {
            readers.add(evaluation.memory());
        }
        if (sample != null) {
            readers.add(sample.memory());
        }
        List<Long> copies = steps.programs().stream()
                .map(program -> program.update() == null
                        ? 0L
                        : Snapshot.bytes(program.update().states()))
                .toList();
        return new MemoryNeed(training.scheme(), training.dtype(), training.programs(), readers, copies);
    }
}
