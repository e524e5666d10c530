package io.tsp.scheme;

import io.tsp.mesh.Mesh;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.Block;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter;
import io.tsp.model.RopeFrequencies;
import io.tsp.model.WeightNames;
import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Panels;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardProgram.LogitsPiece;
import io.tsp.scheme.ForwardProgram.TokenInput;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Puts the sub-layers of a scheme together to one rank's forward program: what is the same for all schemes. Norm weights
 * are on every rank.
 */
public final class ForwardBuilder {
    /** Rows of a weight that are staged at a time on their way into panels; a multiple of a panel's columns. */
    private static final long STAGED_ROWS = 4 * Panels.COLUMNS;

    private final ForwardRequest request;
    private final ProgramBuilder program;
    private final TokenPlacement tokens;
    private final List<Parameter> parameters = new ArrayList<>();
    private final List<TokenInput> inputs = new ArrayList<>();
    private final Block block;
    private final Tensor inverseFrequencies;

    /**
     * The parts in which schemes differ. T is the number of rows of normed.
     *
     * <p>A sub-layer reads normed and leaves its result in y; the residual stream x is not its business.
     */
    public interface Sublayers {
        /** x [T, h], the residual stream, filled with the tokens' embeddings. */
        Tensor embed();

        /** Where a sub-layer's input goes, [T, h]. */
        Tensor normed();

        /** Where a sub-layer leaves its result, f32 [T, h]. */
        Tensor y();

        void attention(int layer);

        void mlp(int layer);

        /** From the normed final hidden states to the totals. */
        LossHead.Result loss();
    }

    /**
     * @param tokens the tokens whose queries, keys and values this rank computes
     */
    public ForwardBuilder(ForwardRequest request, int rank, TokenPlacement tokens) {
        this.request = request;
        this.program = new ProgramBuilder(rank);
        this.tokens = tokens;
        ModelConfig config = request.config();
        Tensor positions = tokenInput(TokenKind.POSITIONS, List.of(tokens));
        inverseFrequencies = program.input("inverse frequencies", MemoryClass.HOST, DType.F32, config.headDim() / 2);
        block = new Block(
                program,
                config,
                new Block.Rotary(positions, inverseFrequencies, RopeFrequencies.attentionScale(config.rope())));
    }

    /** The sequences of a data-parallel replica. */
    public static Range replicaBatch(ForwardRequest request, Mesh mesh, int rank) {
        return Range.part(request.batch(), mesh.degree("dp"), mesh.index(rank, "dp"));
    }

    public ForwardRequest request() {
        return request;
    }

    public ModelConfig config() {
        return request.config();
    }

    public DType dtype() {
        return request.dtype();
    }

    public ProgramBuilder program() {
        return program;
    }

    public Block block() {
        return block;
    }

    public TokenPlacement tokens() {
        return tokens;
    }

    /** An activation of the rank that lives for a while: [rows, columns]. */
    public Tensor activation(String name, DType dtype, long rows, long columns) {
        return program.allocate(name, MemoryClass.TRANSIENT, dtype, rows, columns);
    }

    /** A buffer that other ranks' data arrives in. */
    public Tensor arrival(String name, long count) {
        return program.allocate(name, MemoryClass.COMMUNICATION, dtype(), count);
    }

    /** An input of one i32 for each token of some placements. */
    public Tensor tokenInput(TokenKind kind, List<TokenPlacement> placements) {
        long rows = placements.stream().mapToLong(TokenPlacement::rows).sum();
        Tensor tensor = program.input(kind.name().toLowerCase(Locale.ROOT), MemoryClass.HOST, DType.I32, rows);
        inputs.add(new TokenInput(kind, tensor, List.copyOf(placements)));
        return tensor;
    }

    /** A weight of this rank, [rows, columns] of one Hugging Face tensor. */
    public Tensor parameter(String name, Range rows, Range columns) {
        Tensor tensor = parameterBuffer(name, rows.count() * columns.count()).reshape(rows.count(), columns.count());
        fill(List.of(new Parameter(tensor, new Parameter.Block(name, rows, columns))));
        return tensor;
    }

    /** Room for packed weights of this rank, to be described by {@link #fill}. */
    public Tensor parameterBuffer(String name, long count) {
        return program.input(name, MemoryClass.PARAMETERS, dtype(), count);
    }

    /** Says what fills parameters. */
    public void fill(List<Parameter> some) {
        parameters.addAll(some);
    }

    /** A vector that every rank holds, [n]. */
    public Tensor vector(String name, long n) {
        return parameter(name, new Range(0, n), new Range(0, 1)).reshape(n);
    }

    /** The per-head norms of a layer, if the model has them. */
    public Block.@Nullable HeadNorms headNorms(int layer) {
        if (!config().qkNorm()) {
            return null;
        }
        return new Block.HeadNorms(
                vector(WeightNames.attention(layer, "q_norm"), config().headDim()),
                vector(WeightNames.attention(layer, "k_norm"), config().headDim()));
    }

    /** The tokens of an attention launch; rows of queries, and of keys, stand one placement after the other. */
    public Block.Tokens attentionTokens(List<TokenPlacement> queries, List<TokenPlacement> keys) {
        List<Chunk> keyChunks = chunks(keys);
        keyChunks.sort(Comparator.comparingLong(Chunk::start));
        Tensor kvStart = request.packed() ? tokenInput(TokenKind.KV_START, queries) : null;
        return new Block.Tokens(chunks(queries), keyChunks, tokens.batch().count(), kvStart);
    }

    private static List<Chunk> chunks(List<TokenPlacement> placements) {
        List<Chunk> chunks = new ArrayList<>();
        long firstRow = 0;
        for (TokenPlacement placement : placements) {
            chunks.addAll(chunks(placement, firstRow));
            firstRow += placement.rows();
        }
        return chunks;
    }

    private static List<Chunk> chunks(TokenPlacement placement, long firstRow) {
        List<Chunk> chunks = new ArrayList<>();
        for (Range chunk : placement.chunks()) {
            if (!chunk.isEmpty()) {
                chunks.add(new Chunk(firstRow, placement.tokensPerSequence(), chunk.count(), chunk.from()));
            }
            firstRow += chunk.count();
        }
        return chunks;
    }

    /** Elements of a weight that are on their way into panels at a time. */
    private static long stagedCount(Parameter parameter) {
        return switch (parameter.source()) {
            case Parameter.Block _ -> 0;
            case Parameter.Panels panels -> stagedCount(panels.rows(), panels.columns());
            case Parameter.GateUpPanels panels -> 2 * stagedCount(panels.rows(), panels.columns());
        };
    }

    private static long stagedCount(Range rows, Range columns) {
        return Math.min(rows.count(), STAGED_ROWS) * columns.count();
    }

    /** Embedding, all blocks, final norm, loss. */
    public ForwardProgram build(Sublayers sublayers) {
        program.label("embedding");
        Tensor x = sublayers.embed();
        Tensor delta = null;
        for (int layer = 0; layer < config().layers(); layer++) {
            program.label("layer " + layer + " attention");
            block.norm(x, delta, vector(WeightNames.inputNorm(layer), config().hidden()), sublayers.normed());
            sublayers.attention(layer);
            delta = sublayers.y();
            program.label("layer " + layer + " mlp");
            block.norm(x, delta, vector(WeightNames.postAttentionNorm(layer), config().hidden()), sublayers.normed());
            sublayers.mlp(layer);
        }
        program.label("loss");
        block.norm(x, delta, vector(WeightNames.FINAL_NORM, config().hidden()), sublayers.normed());
        LossHead.Result result = sublayers.loss();
        long staged =
                parameters.stream().mapToLong(ForwardBuilder::stagedCount).max().orElse(0);
        Tensor staging = program.input("staging", MemoryClass.HOST, dtype(), staged);
        List<LogitsPiece> logits = result.logits();
        return new ForwardProgram(
                program.build(), parameters, staging, inputs, inverseFrequencies, result.totals(), logits);
    }
}
