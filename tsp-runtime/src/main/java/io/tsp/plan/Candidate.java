package io.tsp.plan;

import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import java.util.Optional;

/**
 * A way to run a step, and what it would cost.
 *
 * @param memoryBytes of a device
 */
public record Candidate(Scheme scheme, PlannedStep step, Prediction prediction, long memoryBytes) {
    /** Replicas. */
    public int dp() {
        return scheme.mesh().degree("dp");
    }

    /** Ranks that share one copy of the model. */
    public int degree() {
        return scheme.mesh().worldSize() / dp();
    }

    /** What the backward pass computes again; empty for a forward pass. */
    public Optional<Recompute> recompute() {
        return Optional.ofNullable(step.training()).map(TrainingRequest::recompute);
    }

    /** Whether the memory of a device suffices. */
    public boolean fits() {
        return prediction.bytesPerRank() <= memoryBytes;
    }

    public double tokensPerSecond() {
        return step.tokens() / prediction.seconds();
    }
}
