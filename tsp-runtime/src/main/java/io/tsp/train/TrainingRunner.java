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
     * @param traces one for each rank of this process
     */
    public record Result(double loss, long labels, double gradientNorm, boolean skipped, List<Trace> traces) {}

    private TrainingRunner(TrainingPlan plan, Session session) {
        this.plan = plan;
        this.session = session;
    }

    /**
     * Verifies the programs of all ranks, then loads the weights of those in this process; the optimizer starts anew.
     *
     * @param progress told the bytes of weights as they are loaded
     */
    public static TrainingRunner open(
            Cluster cluster, TrainingPlan plan, WeightSource weights, Session.Mode mode, LongConsumer progress) {
        List<Program> programs = plan.programs().stream()
                .map(program -> program.model().program())
                .toList();
        Session session = Session.open(cluster, programs, mode);
        try {
            TrainingRunner runner = new TrainingRunner(plan, session);
            ParameterLoader loader = new ParameterLoader(session, weights, progress);
            for (int rank : session.localRanks()) {
                runner.load(rank, loader);
            }
            return runner;
        } catch (RuntimeException e) {
            session.close();
            throw e;
        }
    }

    private void load(int rank, ParameterLoader loader) {
        TrainingProgram program = plan.programs().get(rank);
        ForwardProgram model = program.model();
        loader.load(rank, model.parameters(), model.staging());
        TrainingProgram.Update update = program.update();
        if (update == null) {
            return;
        }
        for (State state : update.states()) {
            loader.load(rank, List.of(new Parameter(state.parameter(), state.block())), model.staging());
            zero(rank, state.first());
            zero(rank, state.second());
        }
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

    /**
     * One step.
     *
     * @param microbatches as many as the plan's request says
     * @param settings null if the program has no optimizer
     * @param step 1 for the optimizer's first step
     */
    public Result step(List<TokenBatch> microbatches, @Nullable AdamWSettings settings, long step) {
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
        if (program.update() != null) {
            ByteBuffer clip = read(rank, program.update().clip());
            skipped = clip.getFloat(Float.BYTES) != 0;
            norm = clip.getFloat(2 * Float.BYTES);
        }
        return new Result(sum / labels, labels, norm, skipped, traces);
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
