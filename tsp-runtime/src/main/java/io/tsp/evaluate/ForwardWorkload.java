package io.tsp.evaluate;

import io.tsp.data.TokenBatch;
import io.tsp.model.ModelConfig;
import io.tsp.model.WeightSource;
import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import java.util.List;

/** A forward pass, from token ids to the loss. */
public record ForwardWorkload(ModelConfig config, DType dtype, TokenBatch batch, WeightSource weights)
        implements Workload {
    @Override
    public Plan plan(Scheme scheme) {
        return new ForwardStep(ForwardPlan.of(scheme, ForwardPlan.request(config, dtype, batch, false)));
    }

    private final class ForwardStep implements Plan {
        private final ForwardPlan plan;

        ForwardStep(ForwardPlan plan) {
            this.plan = plan;
        }

        @Override
        public MemoryNeed memory() {
            return plan.memory();
        }

        @Override
        public Loaded load(Cluster cluster) {
            return new LoadedStep(ForwardRunner.open(cluster, plan, weights, Session.Mode.OVERLAPPED, bytes -> {}));
        }
    }

    private final class LoadedStep implements Loaded {
        private final ForwardRunner runner;

        LoadedStep(ForwardRunner runner) {
            this.runner = runner;
        }

        @Override
        public Outcome run() {
            ForwardRunner.Result result = runner.run(batch);
            return new Outcome(List.of(result.loss()), result.traces());
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
