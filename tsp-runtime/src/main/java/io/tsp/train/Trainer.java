package io.tsp.train;

import io.tsp.checkpoint.sharded.CheckpointInfo;
import io.tsp.checkpoint.sharded.CheckpointStore;
import io.tsp.data.TokenBatch;
import io.tsp.data.TrainingData;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.evaluate.ForwardRunner;
import io.tsp.evaluate.NumericException;
import io.tsp.infer.GreedyDecoder;
import io.tsp.program.NonFinite;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** The loop: batches in, steps, evaluations, samples, checkpoints. The same on every rank's process. */
public final class Trainer implements AutoCloseable {
    private static final double NANOS_PER_SECOND = 1e9;

    private final TrainingRunner runner;
    private final TrainingData data;
    private final TrainingSettings settings;
    private final @Nullable CheckpointSaver saver;
    private final TrainingListener listener;
    private final @Nullable ForwardRunner evaluation;
    private final @Nullable ForwardRunner sample;
    private final long peakBytes;
    private RunState state;
    private long saved;
    private List<Trace> lastTraces = List.of();

    /**
     * Where checkpoints go.
     *
     * @param files by name, what lies beside the weights: config.json and the tokenizer
     * @param deadline how long the ranks of other processes may take for their part
     */
    public record Saving(CheckpointStore store, Map<String, byte[]> files, Duration deadline) {
        public Saving {
            files = Map.copyOf(files);
        }
    }

    /** How a run ended. */
    public enum End {
        DONE,
        /** Before the last step, because some process was asked to; saved. */
        LEFT
    }

    /**
     * A run that begins or goes on.
     *
     * @param runner loaded with the plan's steps; stays the caller's, as do the others
     * @param state where it stands
     * @param saving null to save nothing
     */
    public Trainer(
            RunPlan plan,
            TrainingRunner runner,
            TrainingData data,
            TrainingSettings settings,
            RunState state,
            @Nullable Saving saving,
            TrainingListener listener) {
        this.runner = runner;
        this.data = data;
        this.settings = settings;
        this.state = state;
        saver = saving == null ? null : new CheckpointSaver(saving, runner);
        this.saved = state.step();
        this.listener = listener;
        evaluation = reader(plan.evaluation());
        sample = reader(plan.sample());
        peakBytes = peakBytes(runner.session(), evaluation, sample);
    }

    private @Nullable ForwardRunner reader(@Nullable ForwardPlan plan) {
        return plan == null ? null : ForwardRunner.reading(runner.session(), plan, Session.Mode.OVERLAPPED);
    }

    /**
     * Trains until the last step, or until the first after which someone wants to leave.
     *
     * @param leaving asked before each step
     * @throws NumericException if a loss or a gradient is not finite; the weights are those before that step
     * @throws io.tsp.checkpoint.StorageException if a checkpoint cannot be written
     */
    public End run(BooleanSupplier leaving) {
        End end = End.DONE;
        while (state.step() < settings.steps() && end == End.DONE) {
            boolean left = step(leaving.getAsBoolean());
            boolean last = state.step() == settings.steps();
            if (last || left || TrainingSettings.isDue(settings.saveEvery(), state.step())) {
                save();
            }
            end = left && !last ? End.LEFT : End.DONE;
        }
        if (saver != null) {
            saver.await();
        }
        return end;
    }

    /** Steps that are done. */
    public long step() {
        return state.step();
    }

    /** Of the last step, one for each rank of this process. */
    public List<Trace> lastTraces() {
        return lastTraces;
    }

    /** Returns whether some process wants to leave. */
    private boolean step(boolean leaving) {
        long begin = SystemClock.nanos();
        long step = state.step() + 1;
        List<TokenBatch> batches = batches();
        double learningRate = settings.schedule().at(step);
        TrainingRunner.Result result =
                runner.step(batches, settings.optimizer().withLearningRate(learningRate), step, leaving);
        if (result.skipped() || (result.labels() > 0 && !Double.isFinite(result.loss()))) {
            throw diverged(step, result);
        }
        double seconds = (SystemClock.nanos() - begin) / NANOS_PER_SECOND;
        state = state.after((long) batches.size() * settings.rows());
        lastTraces = result.traces();
        listener.stepped(new StepReport(
                step,
                result.loss(),
                result.gradientNorm(),
                learningRate,
                batches.stream().mapToLong(batch -> batch.ids().length).sum(),
                seconds,
                peakBytes,
                exposedSeconds(result.traces()),
                result.leaving() ? null : evaluate(),
                result.leaving() ? null : sample()));
        return result.leaving();
    }

    private List<TokenBatch> batches() {
        TrainingRequest request = runner.plan().request();
        List<TokenBatch> batches = new ArrayList<>();
        for (int i = 0; i < request.microbatches(); i++) {
            batches.add(data.batch(state.position() + (long) i * settings.rows(), settings.rows()));
        }
        return batches;
    }

    private NumericException diverged(long step, TrainingRunner.Result result) {
        List<NonFinite> found = runner.session().findNonFinite();
        String first = found.isEmpty()
                ? "not in a rank of this process"
                : found.getFirst().toString();
        return new NumericException("step " + step + " gave a loss of " + result.loss() + " and a gradient norm of "
                + result.gradientNorm() + "; the first number that is not finite: " + first
                + "; the weights are those of step " + (step - 1)
                + (saved > 0 ? ", the last checkpoint is of step " + saved : "")
                + ": resume with a smaller --lr, or check the model");
    }

    private static long peakBytes(Session steps, @Nullable ForwardRunner evaluation, @Nullable ForwardRunner sample) {
        return steps.localRanks().stream()
                .mapToLong(rank -> peakBytes(steps, rank)
                        + (evaluation == null ? 0 : peakBytes(evaluation.session(), rank))
                        + (sample == null ? 0 : peakBytes(sample.session(), rank)))
                .max()
                .orElse(0);
    }

    private static long peakBytes(Session session, int rank) {
        return session.plan(rank).peakBytes();
    }

    private static double exposedSeconds(List<Trace> traces) {
        return traces.stream().mapToLong(Trace::exposedTransferNanos).max().orElse(0) / NANOS_PER_SECOND;
    }

    private StepReport.@Nullable Evaluation evaluate() {
        boolean due =
                state.step() == settings.steps() || TrainingSettings.isDue(settings.evaluateEvery(), state.step());
        if (evaluation == null || !due) {
            return null;
        }
        double sum = 0;
        long labels = 0;
        for (int i = 0; i < data.evaluationBatches(settings.rows()); i++) {
            ForwardRunner.Result result = evaluation.run(data.evaluation(i, settings.rows()));
            sum += result.tokens() == 0 ? 0 : result.loss() * result.tokens();
            labels += result.tokens();
        }
        return new StepReport.Evaluation(sum / labels, labels);
    }

    private int @Nullable [] sample() {
        TrainingSettings.Sample wanted = settings.sample();
        if (sample == null || wanted == null || !TrainingSettings.isDue(wanted.every(), state.step())) {
            return null;
        }
        int vocabulary = runner.plan().request().forward().config().vocab();
        int seq = wanted.prompt().length + wanted.tokens();
        return new GreedyDecoder(sample, seq, vocabulary).decode(wanted.prompt(), wanted.tokens());
    }

    private void save() {
        if (saver == null) {
            return;
        }
        TrainingPlan plan = runner.plan();
        saver.save(new CheckpointInfo(
                state.step(),
                plan.scheme().name(),
                plan.ranks(),
                plan.request().forward().dtype(),
                plan.request().moments(),
                state.toMap()));
        saved = state.step();
    }

    @Override
    public void close() {
        if (saver != null) {
            saver.close();
        }
        if (sample != null) {
            sample.close();
        }
        if (evaluation != null) {
            evaluation.close();
        }
    }
}
