package io.tsp.evaluate;

import io.tsp.data.TokenBatch;
import io.tsp.model.ParameterLoader;
import io.tsp.model.WeightSource;
import io.tsp.program.Cluster;
import io.tsp.program.Program;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardProgram.LogitsPiece;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.function.LongConsumer;

/** A model loaded on a cluster under a scheme, ready for batches of one size. */
public final class ForwardRunner implements AutoCloseable {
    private final ForwardPlan plan;
    private final Session session;

    /**
     * What a run gives.
     *
     * @param loss mean loss in nats over all valid labels; NaN if there are none
     * @param tokens valid labels
     * @param traces one for each rank of this process
     */
    public record Result(double loss, long tokens, List<Trace> traces) {
        public double perplexity() {
            return Math.exp(loss);
        }
    }

    private ForwardRunner(ForwardPlan plan, Session session) {
        this.plan = plan;
        this.session = session;
    }

    /**
     * Verifies the programs of all ranks, then loads the weights of those in this process.
     *
     * @param progress told the bytes of weights as they are loaded
     */
    public static ForwardRunner open(
            Cluster cluster, ForwardPlan plan, WeightSource weights, Session.Mode mode, LongConsumer progress) {
        List<ForwardProgram> programs = plan.programs();
        List<Program> plain = programs.stream().map(ForwardProgram::program).toList();
        Session session = Session.open(cluster, plain, mode);
        try {
            ParameterLoader loader = new ParameterLoader(session, weights, progress);
            for (int rank : session.localRanks()) {
                loader.load(
                        rank,
                        programs.get(rank).parameters(),
                        programs.get(rank).staging());
            }
            return new ForwardRunner(plan, session);
        } catch (RuntimeException e) {
            session.close();
            throw e;
        }
    }

    /**
     * A model whose weights another session has loaded, and may change between runs.
     *
     * @param owner must outlive this
     */
    public static ForwardRunner reading(Session owner, ForwardPlan plan, Session.Mode mode) {
        List<Program> plain =
                plan.programs().stream().map(ForwardProgram::program).toList();
        return new ForwardRunner(plan, owner.openReader(plain, mode));
    }

    public Session session() {
        return session;
    }

    /** The program of each rank of the world. */
    public List<ForwardProgram> programs() {
        return plan.programs();
    }

    /**
     * One forward pass.
     *
     * @throws IllegalArgumentException if the batch has another size than was asked for, or a token that is not in the
     *     vocabulary; one sentence
     * @throws NumericException if the loss is not finite
     */
    public Result run(TokenBatch batch) {
        BatchWriter.write(session, plan.programs()::get, plan.request(), List.of(batch));
        List<Trace> traces = session.run();
        int rank = session.localRanks().getFirst();
        Tensor totals = plan.programs().get(rank).totals();
        ByteBuffer values = buffer(totals.bytes());
        session.read(rank, totals, values);
        double sum = 0;
        double count = 0;
        for (values.flip(); values.hasRemaining(); ) {
            sum += values.getDouble();
            count += values.getDouble();
        }
        if (count > 0 && !Double.isFinite(sum)) {
            throw new NumericException("the loss under scheme " + plan.scheme().name() + " is " + sum
                    + "; a weight is not finite, or an activation overflows: check the model, or try --dtype f32");
        }
        return new Result(sum / count, (long) count, traces);
    }

    /** Whether the logits of the last run can be read here: they were asked for, and rank 0 is in this process. */
    public boolean hasLogits() {
        return plan.request().logits() && session.localRanks().contains(0);
    }

    /**
     * Reads the logits of one token.
     *
     * @param row little-endian, room for one f32 for each id of the vocabulary; filled from 0 and left at 0
     */
    public void readLogits(long sequence, long token, ByteBuffer row) {
        for (LogitsPiece piece : plan.programs().getFirst().logits()) {
            long index = piece.tokens().rowOf(sequence, token);
            if (index >= 0) {
                row.position(Math.toIntExact(piece.vocab().from() * Float.BYTES));
                row.limit(Math.toIntExact(piece.vocab().to() * Float.BYTES));
                session.read(0, piece.tensor().rows(index, 1), row);
            }
        }
        row.clear();
    }

    private static ByteBuffer buffer(long bytes) {
        return ByteBuffer.allocate(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
    }

    @Override
    public void close() {
        session.close();
    }
}
