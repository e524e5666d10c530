package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Own queries against keys and values gathered from all ranks of a group. */
public final class KvGatherAttention implements SequenceAttention {
    final RankBuilder builder;
    final Group group;
    final int self;
    final Tensor queries;
    final Tensor keysAndValues;
    final List<Tensor> parts = new ArrayList<>();
    private final ProgramBuilder program;
    private final Block block;
    private final Block.Tokens tokens;
    private final Tensor y;
    private final Tensor attended;

    /**
     * @param placements tokens of each rank of the group
     * @param heads query heads of the weights at hand
     * @param kvHeads key/value heads of the weights at hand
     */
    public KvGatherAttention(
            RankBuilder builder, Group group, List<TokenPlacement> placements, long heads, long kvHeads, Tensor y) {
        this.builder = builder;
        this.program = builder.program();
        this.block = builder.block();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.y = y;
        tokens = builder.attentionTokens(List.of(builder.tokens()), placements);
        long headDim = builder.config().headDim();
        queries = builder.activation("queries", builder.dtype(), y.dim(0), heads * headDim);
        attended = builder.activation("attended", builder.dtype(), y.dim(0), heads * headDim);
        keysAndValues = program.allocate(
                "keys and values",
                group.size() > 1 ? MemoryClass.COMMUNICATION : MemoryClass.TRANSIENT,
                builder.dtype(),
                placements.stream().mapToLong(TokenPlacement::rows).sum(),
                2 * kvHeads * headDim);
        long firstRow = 0;
        for (TokenPlacement placement : placements) {
            parts.add(keysAndValues.rows(firstRow, placement.rows()));
            firstRow += placement.rows();
        }
    }

    @Override
    public void forward(int layer, Tensor x, AttentionShard.Weights weights) {
        project(layer, x, weights, builder.keepsAll());
        program.compute(attention(layer));
        block.output(attended(layer), weights, y, false);
    }

    /**
     * Keys and values of all tokens of the group, and the rank's queries.
     *
     * @param beforeNorm whether the gradients of the norms of heads will need what they read
     */
    private void project(int layer, Tensor x, AttentionShard.Weights weights, boolean beforeNorm) {
        Block.HeadNorms norms = builder.headNorms(layer);
        boolean kept = beforeNorm && norms != null;
        block.projectKeysAndValues(x, weights, norms, ownKeysAndValues(layer), kept ? keysBeforeNorm(layer) : null);
        gather(layer);
        block.projectQueries(x, weights, norms, queries(layer), kept ? queriesBeforeNorm(layer) : null);
    }

    private void gather(int layer) {
        program.communicate(Lane.KV, new AllGather(group, self, ownKeysAndValues(layer), parts));
    }

    private Tensor queries(int layer) {
        return builder.kept(layer, "queries", queries);
    }

    private Tensor ownKeysAndValues(int layer) {
        return builder.kept(layer, "keys and values", parts.get(self));
    }

    private Attention attention(int layer) {
        Tensor all = group.size() == 1 ? ownKeysAndValues(layer) : keysAndValues;
        return block.attention(layer, queries(layer), all, tokens, attended(layer), logSumExp(layer));
    }

    /** The launch of a layer and all it reads and writes, as in the forward pass; also the projections before norms. */
    Attention restore(int layer, Tensor x, AttentionShard.Weights weights) {
        if (builder.keepsAll()) {
            gather(layer);
        } else {
            project(layer, x, weights, true);
        }
        Attention attention = attention(layer);
        if (!builder.keepsAttention()) {
            program.compute(attention);
        }
        return attention;
    }

    Tensor queriesBeforeNorm(int layer) {
        return builder.keptOrScratch(layer, "queries before norm", y.dim(0), queries.dim(1));
    }

    Tensor keysBeforeNorm(int layer) {
        return builder.keptOrScratch(layer, "keys before norm", y.dim(0), keysAndValues.dim(1) / 2);
    }

    Tensor attended(int layer) {
        return builder.keepsAttention()
                ? builder.saved("layer " + layer + " attended", builder.dtype(), attended.dim(0), attended.dim(1))
                : attended;
    }

    private @Nullable Tensor logSumExp(int layer) {
        if (builder.training() == null) {
            return null;
        }
        long heads = queries.dim(1) / builder.config().headDim();
        return builder.keepsAttention()
                ? builder.saved("layer " + layer + " log-sum-exp", DType.F32, y.dim(0), heads)
                : builder.scratch("log-sum-exp", DType.F32, y.dim(0), heads);
    }

    @Override
    public Backward backward(Tensor dY, Tensor dNormed, RankWeights.Sharing headNorms) {
        return new KvGatherBackward(this, dY, dNormed, headNorms);
    }
}
