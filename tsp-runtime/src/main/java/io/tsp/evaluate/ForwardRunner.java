package io.tsp.evaluate;

import io.tsp.data.TokenBatch;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.ModelConfig;
import io.tsp.model.ParameterLoader;
import io.tsp.model.RopeFrequencies;
import io.tsp.model.WeightSource;
import io.tsp.program.Cluster;
import io.tsp.program.Program;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardProgram.LogitsPiece;
import io.tsp.scheme.ForwardProgram.TokenInput;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
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
        requireFits(batch);
        for (int rank : session.localRanks()) {
            writeInputs(rank, batch);
        }
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

    private void requireFits(TokenBatch batch) {
        if (batch.batch() != plan.request().batch()
                || batch.seq() != plan.request().seq()) {
            throw new IllegalArgumentException(
                    "this model was loaded for " + plan.request().batch() + " sequences of "
                            + plan.request().seq() + " tokens, not " + batch.batch() + " of " + batch.seq());
        }
        int vocab = plan.request().config().vocab();
        for (int i = 0; i < batch.ids().length; i++) {
            if (batch.ids()[i] < 0 || batch.ids()[i] >= vocab || batch.labels()[i] >= vocab) {
                throw new IllegalArgumentException("token " + i % batch.seq() + " of sequence " + i / batch.seq()
                        + " has id " + batch.ids()[i] + " and label " + batch.labels()[i]
                        + ", but the model's vocabulary has only ids 0 to " + (vocab - 1)
                        + "; use the tokenizer that belongs to the model");
            }
        }
    }

    private void writeInputs(int rank, TokenBatch batch) {
        ForwardProgram program = plan.programs().get(rank);
        for (TokenInput input : program.inputs()) {
            ByteBuffer values = buffer(input.tensor().bytes());
            int[] column = column(input.kind(), batch);
            for (TokenPlacement tokens : input.tokens()) {
                tokens.forEach((row, sequence, token) ->
                        values.putInt(column[Math.toIntExact(sequence * batch.seq() + token)]));
            }
            session.write(rank, input.tensor(), values.flip());
        }
        long longest = 1L + Arrays.stream(batch.positions()).max().orElse(0);
        ModelConfig config = plan.request().config();
        ByteBuffer frequencies = buffer(program.inverseFrequencies().bytes());
        for (float frequency : RopeFrequencies.inverse(config.rope(), config.headDim(), longest)) {
            frequencies.putFloat(frequency);
        }
        session.write(rank, program.inverseFrequencies(), frequencies.flip());
    }

    private static int[] column(ForwardProgram.TokenKind kind, TokenBatch batch) {
        return switch (kind) {
            case IDS -> batch.ids();
            case LABELS -> batch.labels();
            case POSITIONS -> batch.positions();
            case KV_START -> batch.kvStart();
        };
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
