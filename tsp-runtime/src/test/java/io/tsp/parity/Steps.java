package io.tsp.parity;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.data.TokenBatch;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.model.Parameter;
import io.tsp.model.WeightSource;
import io.tsp.parity.Fixture.Training;
import io.tsp.program.Session;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import io.tsp.train.AdamWSettings;
import io.tsp.train.TrainingPlan;
import io.tsp.train.TrainingRunner;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A small model in training under a scheme on ranks of this process, as a fixture's PyTorch run was. */
final class Steps implements AutoCloseable {
    private final Training training;
    private final int microbatches;
    private final TokenBatch all;
    private final int rows;
    private final WeightSource model;
    private final Ranks ranks;
    private final TrainingRunner runner;
    private int step;

    /** Ways to do the same step. */
    record Way(Recompute recompute, DType moments, boolean shardOptimizer, Session.Mode mode) {
        /** Overlapped, with all of the optimizer on every rank that holds a weight. */
        static final Way PLAIN = new Way(Recompute.SELECTIVE, DType.F32, false, Session.Mode.OVERLAPPED);

        Way with(Recompute another) {
            return new Way(another, moments, shardOptimizer, mode);
        }

        Way with(DType another) {
            return new Way(recompute, another, shardOptimizer, mode);
        }

        Way sequential() {
            return new Way(recompute, moments, shardOptimizer, Session.Mode.SEQUENTIAL);
        }

        Way sharded() {
            return new Way(recompute, moments, true, mode);
        }
    }

    private Steps(Libraries libraries, Run run, WeightSource model, Way way) {
        this.model = model;
        training = run.fixture().training();
        microbatches = (int) training.settings()[5];
        all = run.fixture().tokens();
        rows = all.batch() / training.losses().length / microbatches;
        TrainingRequest request = new TrainingRequest(
                ForwardPlan.request(ModelDirectory.readConfig(run.fixture().directory()), run.dtype(), batch(0), false),
                microbatches,
                way.recompute(),
                way.moments(),
                true,
                way.shardOptimizer());
        TrainingPlan plan = TrainingPlan.of(run.scheme(), request);
        ranks = new Ranks(libraries, plan.ranks());
        runner = TrainingRunner.open(ranks, plan, TrainingRunner.Start.of(model), way.mode(), unused -> {});
    }

    static Steps open(Libraries libraries, Run run, Way way) {
        ModelDirectory model = ModelDirectory.open(run.fixture().directory());
        return open(libraries, run, model, way);
    }

    /** With other weights than the fixture's; closes them in the end. */
    static Steps open(Libraries libraries, Run run, WeightSource model, Way way) {
        return new Steps(libraries, run, model, way);
    }

    TrainingRunner runner() {
        return runner;
    }

    /** Runs the next step of the fixture's training. */
    TrainingRunner.Result next() {
        List<TokenBatch> batches = new ArrayList<>();
        for (int i = 0; i < microbatches; i++) {
            batches.add(batch(step * microbatches + i));
        }
        double[] values = training.settings();
        AdamWSettings settings = new AdamWSettings(
                training.learningRates()[step], values[0], values[1], values[2], values[3], values[4]);
        return runner.step(batches, settings, ++step);
    }

    /** Runs the first steps. */
    List<TrainingRunner.Result> first(int count) {
        List<TrainingRunner.Result> results = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            results.add(next());
        }
        return results;
    }

    /** What kernels read on all ranks, packed or not. */
    List<ByteBuffer> weights() {
        List<ByteBuffer> weights = new ArrayList<>();
        for (int rank : runner.session().localRanks()) {
            for (Parameter parameter :
                    runner.plan().programs().get(rank).model().parameters()) {
                weights.add(runner.read(rank, parameter.tensor()));
            }
        }
        return weights;
    }

    private TokenBatch batch(int index) {
        int begin = index * rows * all.seq();
        int end = begin + rows * all.seq();
        return new TokenBatch(
                rows,
                all.seq(),
                Arrays.copyOfRange(all.ids(), begin, end),
                Arrays.copyOfRange(all.labels(), begin, end),
                Arrays.copyOfRange(all.positions(), begin, end),
                Arrays.copyOfRange(all.kvStart(), begin, end));
    }

    @Override
    public void close() {
        runner.close();
        ranks.close();
        model.close();
    }
}
