package io.tsp.scheme;

import io.tsp.mesh.Mesh;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.Block;
import io.tsp.model.BlockBackward;
import io.tsp.model.ModelConfig;
import io.tsp.model.RopeFrequencies;
import io.tsp.model.WeightNames;
import io.tsp.op.Chunk;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What a rank's program is made of, whatever the scheme: its tokens' inputs, its weights, its activations, and the block's
 * mathematics on them. Norm weights are on every rank.
 */
public final class RankBuilder {
    private final ForwardRequest request;
    private final @Nullable TrainingRequest training;
    private final ProgramBuilder program;
    private final TokenPlacement tokens;
    private final RankWeights weights;
    private final MicrobatchInputs inputs;
    private final Block block;
    private final Block.Rotary rotary;
    private final Map<String, Tensor> saved = new HashMap<>();
    private final Map<String, Tensor> scratch = new HashMap<>();
    private @Nullable Tensor labelWeight;

    /**
     * For a forward pass.
     *
     * @param tokens the tokens whose queries, keys and values this rank computes
     */
    public RankBuilder(ForwardRequest request, int rank, TokenPlacement tokens) {
        this(request, null, rank, tokens);
    }

    /** For a step of training. */
    public RankBuilder(TrainingRequest training, int rank, TokenPlacement tokens) {
        this(training.forward(), training, rank, tokens);
    }

    private RankBuilder(ForwardRequest request, @Nullable TrainingRequest training, int rank, TokenPlacement tokens) {
        this.request = request;
        this.training = training;
        this.program = new ProgramBuilder(rank);
        this.tokens = tokens;
        ModelConfig config = request.config();
        weights = new RankWeights(program, request.dtype());
        inputs = new MicrobatchInputs(program, training == null ? 1 : training.microbatches());
        rotary = new Block.Rotary(
                tokenInput(TokenKind.POSITIONS, List.of(tokens)),
                program.input("inverse frequencies", MemoryClass.HOST, DType.F32, config.headDim() / 2),
                RopeFrequencies.attentionScale(config.rope()));
        block = new Block(program, config, rotary);
    }

    /** The sequences of a data-parallel replica. */
    public static Range replicaBatch(ForwardRequest request, Mesh mesh, int rank) {
        return Range.part(request.batch(), mesh.degree("dp"), mesh.index(rank, "dp"));
    }

    public ForwardRequest request() {
        return request;
    }

    /** The step of training that the program is, if it is one. */
    public @Nullable TrainingRequest training() {
        return training;
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

    public BlockBackward blockBackward() {
        return new BlockBackward(program, config(), rotary);
    }

    public TokenPlacement tokens() {
        return tokens;
    }

    public RankWeights weights() {
        return weights;
    }

    MicrobatchInputs inputs() {
        return inputs;
    }

    Tensor inverseFrequencies() {
        return rotary.inverseFrequencies();
    }

    /** Whether gradients of weights are added to those of earlier microbatches. */
    public boolean accumulates() {
        return inputs.current() > 0;
    }

    /** The microbatch that is being written down. */
    int microbatch() {
        return inputs.current();
    }

    /** An activation of the rank that lives for a while: [rows, columns]. */
    public Tensor activation(String name, DType dtype, long rows, long columns) {
        return program.allocate(name, MemoryClass.TRANSIENT, dtype, rows, columns);
    }

    /** A buffer that other ranks' data arrives in. */
    public Tensor arrival(String name, long count) {
        return arrival(name, dtype(), count);
    }

    /** As above, with another dtype than the activations'. */
    public Tensor arrival(String name, DType dtype, long count) {
        return program.allocate(name, MemoryClass.COMMUNICATION, dtype, count);
    }

    /** An activation that is kept from the forward to the backward pass, the same for every microbatch. */
    public Tensor saved(String name, DType dtype, long rows, long columns) {
        return saved.computeIfAbsent(name, key -> program.allocate(key, MemoryClass.SAVED, dtype, rows, columns));
    }

    /** An activation that the backward pass needs for a while: the same for all that ask by this name. */
    public Tensor scratch(String name, DType dtype, long rows, long columns) {
        return scratch.computeIfAbsent(name, key -> activation(key, dtype, rows, columns));
    }

    /** A buffer of sums, f32, on their way between ranks: the same for all that ask by this name. */
    public Tensor partial(String name, long count) {
        return scratch.computeIfAbsent(name, key -> arrival(key, DType.F32, count));
    }

    /** Whether attention's output and log-sum-exp are kept for the backward pass. */
    public boolean keepsAttention() {
        return training != null && training.recompute().keepsAttention();
    }

    /** Whether projections and norms of a layer are kept for the backward pass. */
    public boolean keepsAll() {
        return training != null && training.recompute().keepsAll();
    }

    /**
     * Where something of a layer stands in the forward and the backward pass.
     *
     * @param shared where it goes in every layer unless it is kept, a matrix
     */
    public Tensor kept(int layer, String name, Tensor shared) {
        return keepsAll() ? saved("layer " + layer + " " + name, shared.dtype(), shared.dim(0), shared.dim(1)) : shared;
    }

    /** What sub-layer i reads; as above. The final norm's result, i = 2 layers, is never kept. */
    public Tensor input(int sublayer, Tensor shared) {
        String name = sublayer % 2 == 0 ? "attention input" : "mlp input";
        return sublayer < 2 * config().layers() ? kept(sublayer / 2, name, shared) : shared;
    }

    /** {@link #scratch} of the backward pass, or what the forward pass of a layer keeps instead. */
    public Tensor keptOrScratch(int layer, String name, long rows, long columns) {
        return keepsAll()
                ? saved("layer " + layer + " " + name, dtype(), rows, columns)
                : scratch(name, dtype(), rows, columns);
    }

    /**
     * Where gate and up of the gated MLP are kept before silu, [rows, 2 features]; null if they are not.
     *
     * @param features padded, as the product has them
     */
    public @Nullable Tensor preActivations(int layer, String which, long rows, long features) {
        return keepsAll() && features > 0
                ? saved("layer " + layer + " gate and up" + which, dtype(), rows, 2 * features)
                : null;
    }

    /** An input of one i32 for each token of some placements. */
    public Tensor tokenInput(TokenKind kind, List<TokenPlacement> placements) {
        return inputs.add(kind, placements);
    }

    /** What one label weighs in the loss, f32 [1]; the host writes it. */
    public Tensor labelWeight() {
        if (labelWeight == null) {
            labelWeight = program.input("label weight", MemoryClass.HOST, DType.F32, 1);
        }
        return labelWeight;
    }

    /** The per-head norms of a layer, if the model has them. */
    public Block.@Nullable HeadNorms headNorms(int layer) {
        if (!config().qkNorm()) {
            return null;
        }
        return new Block.HeadNorms(
                weights.vector(WeightNames.attention(layer, "q_norm"), config().headDim()),
                weights.vector(WeightNames.attention(layer, "k_norm"), config().headDim()));
    }

    /**
     * What the backward pass of one of {@link #headNorms} needs, if the model has them.
     *
     * @param module q_norm or k_norm
     * @param before the projections before the norm
     * @param accumulate whether the gradient of the norm's weight is added to
     */
    public BlockBackward.@Nullable HeadNorm headNormBackward(
            int layer, String module, Supplier<Tensor> before, RankWeights.Sharing sharing, boolean accumulate) {
        if (!config().qkNorm()) {
            return null;
        }
        String name = WeightNames.attention(layer, module);
        return new BlockBackward.HeadNorm(
                weights.vector(name, config().headDim()),
                before.get(),
                weights.vectorGradient(name, config().headDim(), sharing),
                accumulate);
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
}
