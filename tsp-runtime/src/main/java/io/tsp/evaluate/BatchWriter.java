package io.tsp.evaluate;

import io.tsp.data.TokenBatch;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.ModelConfig;
import io.tsp.model.RopeFrequencies;
import io.tsp.program.Session;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardProgram.TokenInput;
import io.tsp.scheme.ForwardRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/** Writes what the ranks of this process must know of their tokens before a run. */
public final class BatchWriter {
    private BatchWriter() {}

    /**
     * Writes the token inputs of every local rank.
     *
     * @param programs by rank
     * @param microbatches one batch for each microbatch of the program
     * @throws IllegalArgumentException if a batch has another size than was asked for, or a token that is not in the
     *     vocabulary; one sentence
     */
    public static void write(
            Session session,
            IntFunction<ForwardProgram> programs,
            ForwardRequest request,
            List<TokenBatch> microbatches) {
        microbatches.forEach(batch -> requireFits(batch, request));
        long longest = 1L
                + microbatches.stream()
                        .flatMapToInt(batch -> Arrays.stream(batch.positions()))
                        .max()
                        .orElse(0);
        ModelConfig config = request.config();
        float[] frequencies = RopeFrequencies.inverse(config.rope(), config.headDim(), longest);
        for (int rank : session.localRanks()) {
            write(session, rank, programs.apply(rank), frequencies, microbatches);
        }
    }

    private static void write(
            Session session, int rank, ForwardProgram program, float[] frequencies, List<TokenBatch> microbatches) {
        for (TokenInput input : program.inputs()) {
            ByteBuffer values = buffer(input.tensor().bytes());
            for (TokenBatch batch : microbatches) {
                int[] column = column(input.kind(), batch);
                for (TokenPlacement tokens : input.tokens()) {
                    tokens.forEach((row, sequence, token) ->
                            values.putInt(column[Math.toIntExact(sequence * batch.seq() + token)]));
                }
            }
            session.write(rank, input.tensor(), values.flip());
        }
        ByteBuffer inverse = buffer(program.inverseFrequencies().bytes());
        for (float frequency : frequencies) {
            inverse.putFloat(frequency);
        }
        session.write(rank, program.inverseFrequencies(), inverse.flip());
    }

    private static void requireFits(TokenBatch batch, ForwardRequest request) {
        if (batch.batch() != request.batch() || batch.seq() != request.seq()) {
            throw new IllegalArgumentException("this model was loaded for " + request.batch() + " sequences of "
                    + request.seq() + " tokens, not " + batch.batch() + " of " + batch.seq());
        }
        int vocab = request.config().vocab();
        for (int i = 0; i < batch.ids().length; i++) {
            if (batch.ids()[i] < 0 || batch.ids()[i] >= vocab || batch.labels()[i] >= vocab) {
                throw new IllegalArgumentException("token " + i % batch.seq() + " of sequence " + i / batch.seq()
                        + " has id " + batch.ids()[i] + " and label " + batch.labels()[i]
                        + ", but the model's vocabulary has only ids 0 to " + (vocab - 1)
                        + "; use the tokenizer that belongs to the model");
            }
        }
    }

    private static int[] column(ForwardProgram.TokenKind kind, TokenBatch batch) {
        return switch (kind) {
            case IDS -> batch.ids();
            case LABELS -> batch.labels();
            case POSITIONS -> batch.positions();
            case KV_START -> batch.kvStart();
        };
    }

    private static ByteBuffer buffer(long bytes) {
        return ByteBuffer.allocate(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
    }
}
