package io.tsp.scheme;

import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.Parameter;
import io.tsp.program.Program;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * A rank's forward program and what the host must know to use it.
 *
 * @param parameters what fills the weights
 * @param staging memory for blocks of weights on their way into panels, one dimension, the program's dtype
 * @param inputs what the host writes before each run
 * @param inverseFrequencies f32 [d / 2] of the rotary embedding
 * @param totals f64 [microbatches * replicas, 2]: {sum of losses in nats, valid labels} of every rank that holds tokens of
 *     its own, for one microbatch after the other
 * @param logits on rank 0 all pieces of the logits, if they were asked for; otherwise empty
 */
public record ForwardProgram(
        Program program,
        List<Parameter> parameters,
        Tensor staging,
        List<TokenInput> inputs,
        Tensor inverseFrequencies,
        Tensor totals,
        List<LogitsPiece> logits) {

    /** Something the host knows of every token. */
    public enum TokenKind {
        IDS,
        /** Id of the next token, negative where there is none to predict. */
        LABELS,
        /** Place in its document. */
        POSITIONS,
        /** Index in the sequence of the first token of its document. */
        KV_START
    }

    /**
     * An input with one i32 for each token.
     *
     * @param tokens which tokens, one placement after the other
     */
    public record TokenInput(TokenKind kind, Tensor tensor, List<TokenPlacement> tokens) {}

    /**
     * Logits f32 [rows, vocabulary part].
     *
     * @param tokens what the rows are
     * @param vocab what the columns are
     */
    public record LogitsPiece(Tensor tensor, TokenPlacement tokens, Range vocab) {}

    public ForwardProgram {
        parameters = List.copyOf(parameters);
        inputs = List.copyOf(inputs);
        logits = List.copyOf(logits);
    }
}
