package io.tsp.train;

import io.tsp.data.TokenBatch;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.evaluate.MemoryNeed;
import io.tsp.evaluate.Workload;
import io.tsp.model.ModelConfig;
import io.tsp.model.WeightSource;
import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import java.util.List;

/**
 * A step of training: forward, backward, AdamW.
 *
 * @param shardOptimizer see {@link TrainingRequest}
 */
public record TrainingWorkload(
        ModelConfig config,
        DType dtype,
        TokenBatch batch,
        WeightSource weights,
        Recompute recompute,
        boolean shardOptimizer)
        implements Workload {
    /** Small enough that repeated steps stay where they began. */
    private static final AdamWSettings SETTINGS = new AdamWSettings(1e-6, 0.9, 0.95, 1e-8, 0.1, 1);

    @Override
    public Plan plan(Scheme scheme) {
        return new Step(TrainingPlan.of(
                scheme, request(ForwardPlan.request(config, dtype, batch, false), recompute, shardOptimizer)));
    }

    /** One microbatch, moments in f32, the optimizer included. */
    public static TrainingRequest request(ForwardRequest forward, Recompute recompute, boolean shardOptimizer) {
        return new TrainingRequest(forward, 1, recompute, DType.F32, true, shardOptimizer);
    }

    private final class Step implements Plan {
        private final TrainingPlan plan;

        Step(TrainingPlan plan) {
            this.plan = plan;
        }

        @Override
        public MemoryNeed memory() {
            return plan.memory();
        }

        @Override
        public Loaded load(Cluster cluster) {
            return new LoadedStep(TrainingRunner.open(
                    cluster, plan, TrainingRunner.Start.of(weights), Session.Mode.OVERLAPPED, bytes -> {}));
        }
    }

    private final class LoadedStep implements Loaded {
        private final TrainingRunner runner;
        private long steps;

        LoadedStep(TrainingRunner runner) {
            this.runner = runner;
        }

        /** Its numbers are the loss and the norm of the gradients. */
        @Override
        public Outcome run() {
            TrainingRunner.Result result = runner.step(List.of(batch), SETTINGS, ++steps);
            return new Outcome(List.of(result.loss(), result.gradientNorm()), result.traces());
        }

        @Override
        public Session session() {
            return runner.session();
        }

        @Override
        public void close() {
            runner.close();
        }
    }
}
