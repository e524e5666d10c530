package io.tsp.plan;

import io.tsp.model.ModelConfig;
import io.tsp.program.Program;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A step whose cost is asked for: a forward pass from token ids to the loss, or a step of training.
 *
 * @param forward one microbatch
 * @param training null for a forward pass
 */
public record PlannedStep(ForwardRequest forward, @Nullable TrainingRequest training) {
    public static PlannedStep of(ForwardRequest forward) {
        return new PlannedStep(forward, null);
    }

    public static PlannedStep of(TrainingRequest training) {
        return new PlannedStep(training.forward(), training);
    }

    /** The programs of one replica; see {@link Replica}. */
    public List<Program> programs(Scheme scheme) {
        return training == null ? Replica.forward(scheme, forward) : Replica.training(scheme, training);
    }

    /** The program of the first rank. */
    Program firstProgram(Scheme scheme) {
        return training == null
                ? scheme.forward(forward, 0).program()
                : scheme.training(training, 0).model().program();
    }

    /** Tokens of a step, over all replicas. */
    public long tokens() {
        return forward.batch() * forward.seq() * (training == null ? 1 : training.microbatches());
    }

    /** The same with another number of blocks. */
    PlannedStep withLayers(int layers) {
        return with(forward.config().withLayers(layers), forward.batch(), forward.seq());
    }

    /** The same with sequences of other length. */
    PlannedStep withSeq(long seq) {
        return with(forward.config(), forward.batch(), seq);
    }

    /** The forward pass of one sequence. */
    PlannedStep ofOneSequence() {
        return of(with(forward.config(), 1, forward.seq()).forward);
    }

    private PlannedStep with(ModelConfig config, long batch, long seq) {
        ForwardRequest changed =
                new ForwardRequest(config, forward.dtype(), batch, seq, forward.packed(), forward.logits());
        return training == null
                ? of(changed)
                : of(new TrainingRequest(
                        changed,
                        training.microbatches(),
                        training.recompute(),
                        training.moments(),
                        training.update(),
                        training.shardOptimizer()));
    }
}
