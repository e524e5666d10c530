package io.tsp.train;

import io.tsp.data.TokenBatch;
import io.tsp.evaluate.BatchWriter;
import io.tsp.model.Parameter;
import io.tsp.model.ParameterLoader;
import io.tsp.model.WeightSource;
import io.tsp.program.Cluster;
import io.tsp.program.Program;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.TrainingProgram;
import io.tsp.scheme.TrainingProgram.State;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.function.Function;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** A model and its optimizer loaded on a cluster under a scheme, ready for steps of one size. */
public final class TrainingRunner implements AutoCloseable {
    private static final int ZEROS = 1 << 20;

    private final TrainingPlan plan;
    private final Session session;

    /**
     * What a step gives.
     *
     * @param loss mean loss in nats over all valid labels; NaN if there are none
     * @param labels valid labels
     * @param gradientNorm before clipping; NaN if the program has no optimizer
     * @param skipped whether Inf or NaN was found in a gradient, so that the weights are as they were
     * @param leaving whether some rank wants to stop after this step
     * @param traces one for each rank of this process
     */
    public record Result(
            double loss, long labels, double gradientNorm, boolean skipped, boolean leaving, List<Trace> traces) {}

    private TrainingRunner(TrainingPlan plan, Session session) {
        this.plan = plan;
        this.session = session;
    }

    /**
     * What training begins with.
     *
     * @param weights f32 where they have been trained
     * @param first first moments by name of the weight; null for an optimizer that starts anew, the other one, too
     * @param second second moments
     */
    public record Start(
            WeightSource weights,
            @Nullable WeightSource first,
            @Nullable WeightSource second) {

        /** With an optimizer that starts anew. */
        public static Start of(WeightSource weights) {
            return new Start(weights, null, null);
        }
    }

    /**
     * Verifies the programs of all ranks, then loads those in this process.
     *
     * @param progress told the bytes of weights and moments as they are loaded
     */
    public static TrainingRunner open(
            Cluster cluster, TrainingPlan plan, Start start, Session.Mode mode, LongConsumer progress) {
        List<Program> programs = plan.programs().stream()
                .map(program -> program.model().program())
                .toList();
        Session session = Session.open(cluster, programs, mode);
        try {
            TrainingRunner runner = new TrainingRunner(plan, session);
            runner.load(start, progress);
            return runner;
        } catch (RuntimeException e) {
            session.close();
            throw e;
        }
    }

    private void load(Start start, LongConsumer progress) {
        ParameterLoader weights = new ParameterLoader(session, start.weights(), progress);
        for (int rank : session.localRanks()) {
            ForwardProgram model = plan.programs().get(rank).model();
            weights.load(rank, model.parameters(), model.staging());
        }
        load(weights, State::parameter);
        loadMoments(start.first(), State::first, progress);
        loadMoments(start.second(), State::second, progress);
    }

    private void loadMoments(@Nullable WeightSource source, Function<State, Tensor> moment, LongConsumer progress) {
        if (source != null) {
            load(new ParameterLoader(session, source, progress), moment);
            return;
        }
        for (int rank : session.localRanks()) {
            states(rank).forEach(state -> zero(rank, moment.apply(state)));
        }
    }

    private void load(ParameterLoader loader, Function<State, Tensor> part) {
        for (int rank : session.localRanks()) {
            List<Parameter> parts = states(rank).stream()
                    .map(state -> new Parameter(part.apply(state), state.block()))
                    .toList();
            loader.load(rank, parts, plan.programs().get(rank).model().staging());
        }
    }

    /** What the optimizer of a rank keeps. */
    List<State> states(int rank) {
        TrainingProgram.Update update = plan.programs().get(rank).update();
        return update == null ? List.of() : update.states();
    }

    private void zero(int rank, Tensor tensor) {
        int bytes = tensor.dtype().bytes();
        ByteBuffer zeros = ByteBuffer.allocateDirect(ZEROS);
        for (long from = 0; from < tensor.count(); from += ZEROS / bytes) {
            long count = Math.min(ZEROS / bytes, tensor.count() - from);
            zeros.clear().limit(Math.toIntExact(count * bytes));
            session.write(rank, tensor.rows(from, count), zeros);
        }
    }

    public Session session() {
        return session;
    }

    public TrainingPlan plan() {
        return plan;
    }

    /** One step of a run that goes on after it. */
    public Result step(List<TokenBatch> microbatches, @Nullable AdamWSettings settings, long step) {
        return step(microbatches, settings, step, false);
    }

    /**
     * One step.
     *
     * @param microbatches as many as the plan's request says
     * @param settings null if the program has no optimizer
     * @param step 1 for the optimizer's first step
     * @param leaving whether this process wants to stop after the step
     */
    public Result step(List<TokenBatch> microbatches, @Nullable AdamWSettings settings, long step, boolean leaving) {
        if (microbatches.size() != plan.request().microbatches()) {
            throw new IllegalArgumentException(
                    "a step has " + plan.request().microbatches() + " microbatches, not " + microbatches.size());
        }
        long labels = microbatches.stream().mapToLong(TokenBatch::labelCount).sum();
        BatchWriter.write(
                session,
                rank -> plan.programs().get(rank).model(),
                plan.request().forward(),
                microbatches);
        for (int rank : session.localRanks()) {
            TrainingProgram program = plan.programs().get(rank);
            session.write(rank, program.labelWeight(), floats(labels == 0 ? 0 : 1f / labels));
            if (program.update() != null && settings != null) {
                session.write(rank, program.update().hyper(), floats(settings.values(step)));
                session.write(rank, program.update().leaving().rows(rank, 1), floats(leaving ? 1 : 0));
            }
        }
        List<Trace> traces = session.run();
        return result(labels, traces);
    }

    private Result result(long labels, List<Trace> traces) {
        int rank = session.localRanks().getFirst();
        TrainingProgram program = plan.programs().get(rank);
        ByteBuffer totals = read(rank, program.model().totals());
        double sum = 0;
        while (totals.hasRemaining()) {
            sum += totals.getDouble();
            totals.getDouble();
        }
        double norm = Double.NaN;
        boolean skipped = false;
        boolean leaving = false;
        if (program.update() != null) {
            ByteBuffer clip = read(rank, program.update().clip());
            skipped = clip.getFloat(Float.BYTES) != 0;
            norm = clip.getFloat(2 * Float.BYTES);
            for (ByteBuffer wishes = read(rank, program.update().leaving()); wishes.hasRemaining(); ) {
                leaving |= wishes.getFloat() != 0;
            }
        }
        return new Result(sum / labels, labels, norm, skipped, leaving, traces);
    }

    /** Reads a gradient of the last step, or what the optimizer keeps, little-endian, from a rank of this process. */
    public ByteBuffer read(int rank, Tensor tensor) {
        ByteBuffer values = ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
        session.read(rank, tensor, values);
        return values.flip();
    }

    private static ByteBuffer floats(float... values) {
        ByteBuffer buffer = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            buffer.putFloat(value);
        }
        return buffer.flip();
    }

    @Override
    public void close() {
        session.close();
    }
}
