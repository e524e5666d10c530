package io.tsp.parity;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.data.TokenBatch;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.model.Parameter;
import io.tsp.parity.Fixture.Gradient;
import io.tsp.program.Session;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.TrainingProgram.GradientPart;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import io.tsp.train.TrainingPlan;
import io.tsp.train.TrainingRunner;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The gradients of a model under a scheme on ranks of this process, each weight's put together from its owners. */
final class Gradients {
    private Gradients() {}

    /**
     * What a run gives.
     *
     * @param values by Hugging Face name, row-major
     */
    record Outcome(double loss, Map<String, float[]> values) {
        boolean sameBits(Outcome other) {
            return Double.compare(loss, other.loss) == 0
                    && values.keySet().equals(other.values.keySet())
                    && values.entrySet().stream()
                            .allMatch(entry -> Arrays.equals(entry.getValue(), other.values.get(entry.getKey())));
        }
    }

    /** Runs one step without an optimizer. */
    static Outcome of(Libraries libraries, Run run, Recompute recompute, Session.Mode mode) {
        TokenBatch tokens = run.fixture().tokens();
        try (ModelDirectory model = ModelDirectory.open(run.fixture().directory())) {
            TrainingRequest request = new TrainingRequest(
                    ForwardPlan.request(model.config(), run.dtype(), tokens, false),
                    1,
                    recompute,
                    DType.F32,
                    false,
                    false);
            TrainingPlan plan = TrainingPlan.of(run.scheme(), request);
            try (Ranks ranks = new Ranks(libraries, plan.ranks());
                    TrainingRunner runner =
                            TrainingRunner.open(ranks, plan, TrainingRunner.Start.of(model), mode, unused -> {})) {
                double loss = runner.step(List.of(tokens), null, 1).loss();
                return new Outcome(loss, collect(runner, run.fixture().gradients()));
            }
        }
    }

    private static Map<String, float[]> collect(TrainingRunner runner, Map<String, Gradient> expected) {
        Map<String, float[]> values = new TreeMap<>();
        expected.forEach((name, gradient) -> {
            float[] missing = new float[gradient.values().length];
            Arrays.fill(missing, Float.NaN);
            values.put(name, missing);
        });
        for (int rank : runner.session().localRanks()) {
            for (GradientPart part : runner.plan().programs().get(rank).gradients()) {
                if (part.owner()) {
                    long columns = expected.get(part.block().name()).columns();
                    place(
                            runner.read(rank, part.tensor()).asFloatBuffer(),
                            part.block(),
                            columns,
                            values.get(part.block().name()));
                }
            }
        }
        return values;
    }

    private static void place(FloatBuffer source, Parameter.Block block, long columns, float[] target) {
        for (long row = block.rows().from(); row < block.rows().to(); row++) {
            source.get(
                    target,
                    Math.toIntExact(row * columns + block.columns().from()),
                    Math.toIntExact(block.columns().count()));
        }
    }
}
