package io.tsp.parity;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.data.TokenBatch;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.evaluate.ForwardRunner;
import io.tsp.program.Program;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** A model under a scheme on ranks of this process, ready to run a batch any number of times. */
final class Forward implements AutoCloseable {
    private final TokenBatch tokens;
    private final int vocab;
    private final ModelDirectory model;
    private final Ranks ranks;
    private final ForwardRunner runner;

    /** @param logits [B, S, V] */
    record Outcome(float[] logits, double loss, long tokens) {
        /** Whether every bit is the same. */
        boolean sameBits(Outcome other) {
            return mismatch(other) < 0 && Double.compare(loss, other.loss) == 0 && tokens == other.tokens;
        }

        /** First logit whose bits differ, or -1. */
        int mismatch(Outcome other) {
            return Arrays.mismatch(logits, other.logits);
        }
    }

    private Forward(TokenBatch tokens, ModelDirectory model, Ranks ranks, ForwardRunner runner) {
        this.tokens = tokens;
        this.vocab = model.config().vocab();
        this.model = model;
        this.ranks = ranks;
        this.runner = runner;
    }

    static Forward open(Libraries libraries, Run run, Session.Mode mode) {
        return open(libraries, run, run.fixture().directory(), mode);
    }

    /** The same with the model of another directory. */
    static Forward open(Libraries libraries, Run run, Path directory, Session.Mode mode) {
        TokenBatch tokens = run.fixture().tokens();
        ModelDirectory model = ModelDirectory.open(directory);
        ForwardPlan plan = ForwardPlan.of(run.scheme(), ForwardPlan.request(model.config(), run.dtype(), tokens, true));
        Ranks ranks = new Ranks(libraries, plan.ranks());
        return new Forward(tokens, model, ranks, ForwardRunner.open(ranks, plan, model, mode, unused -> {}));
    }

    /** Opens, runs once, closes. */
    static Outcome once(Libraries libraries, Run run, Session.Mode mode) {
        try (Forward forward = open(libraries, run, mode)) {
            return forward.run();
        }
    }

    Ranks ranks() {
        return ranks;
    }

    Session session() {
        return runner.session();
    }

    Program program(int rank) {
        return runner.programs().get(rank).program();
    }

    /** Runs once; what happened when on each rank. */
    List<Trace> traces() {
        return runner.run(tokens).traces();
    }

    Outcome run() {
        ForwardRunner.Result result = runner.run(tokens);
        float[] logits = new float[tokens.batch() * tokens.seq() * vocab];
        ByteBuffer row = ByteBuffer.allocate(vocab * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < tokens.batch() * tokens.seq(); i++) {
            runner.readLogits(i / tokens.seq(), i % tokens.seq(), row);
            row.asFloatBuffer().get(logits, i * vocab, vocab);
        }
        return new Outcome(logits, result.loss(), result.tokens());
    }

    @Override
    public void close() {
        runner.close();
        ranks.close();
        model.close();
    }
}
