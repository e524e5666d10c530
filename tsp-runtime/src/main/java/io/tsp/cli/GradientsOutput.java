package io.tsp.cli;

import io.tsp.evaluate.AvailableMemory;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import io.tsp.train.GradientFile;
import io.tsp.train.TrainingPlan;
import io.tsp.train.TrainingRunner;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Runs one step backward, too, and writes the gradients. Made before the work, to find out early what is in its way. */
final class GradientsOutput implements AutoCloseable {
    private final TrainingPlan plan;
    private final GradientFile file;

    private GradientsOutput(TrainingPlan plan, GradientFile file) {
        this.plan = plan;
        this.file = file;
    }

    static GradientsOutput create(
            Path target, ForwardPlan forward, OpenModel model, Input input, AvailableMemory available) {
        if (Files.exists(target) && !Files.isRegularFile(target)) {
            throw new UsageException("--gradients " + target + " is there and is not a file; choose another name");
        }
        var request = new TrainingRequest(
                ForwardPlan.request(model.config(), forward.request().dtype(), input.get(0), false),
                1,
                Recompute.SELECTIVE,
                DType.F32,
                false,
                false);
        TrainingPlan plan = TrainingPlan.of(forward.scheme(), request);
        plan.memory().requireFits(plan.memory().allRanks(), available);
        Map<String, String> metadata = Map.of("model", model.name(), "input", input.name());
        return new GradientsOutput(plan, GradientFile.create(target, plan, metadata));
    }

    void write(Terminal terminal, Clusters clusters, RankOptions ranks, OpenModel model, Input input) {
        try (Cluster cluster = clusters.cluster(plan.ranks(), ranks.threads(), ranks.deadline());
                Progress progress = Progress.open(terminal, "gradients", 1);
                TrainingRunner runner = TrainingRunner.open(
                        cluster, plan, TrainingRunner.Start.of(model.weights()), Session.Mode.OVERLAPPED, _ -> {})) {
            runner.step(List.of(input.get(0)), null, 1);
            file.write(runner);
            progress.add(1);
        }
    }

    @Override
    public void close() {
        file.close();
    }
}
