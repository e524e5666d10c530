package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Own queries of all heads against keys and values gathered from all ranks. */
final class KvGatherAttention implements GatheredAttention {
    private final ProgramBuilder program;
    private final Block block;
    private final Group group;
    private final int self;
    private final Block.Tokens tokens;
    private final Tensor normed;
    private final Tensor y;
    private final Tensor queries;
    private final Tensor attended;
    private final Tensor keysAndValues;
    private final List<Tensor> parts = new ArrayList<>();

    KvGatherAttention(ForwardBuilder builder, Group group, List<TokenPlacement> placements, Tensor normed, Tensor y) {
        this.program = builder.program();
        this.block = builder.block();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.normed = normed;
        this.y = y;
        tokens = builder.attentionTokens(List.of(builder.tokens()), placements);
        long headDim = builder.config().headDim();
        long rows = placements.stream().mapToLong(TokenPlacement::rows).sum();
        long width = 2L * builder.config().kvHeads() * headDim;
        queries = builder.activation(
                "queries", builder.dtype(), normed.dim(0), builder.config().heads() * headDim);
        attended = builder.activation("attended", builder.dtype(), normed.dim(0), queries.dim(1));
        keysAndValues = builder.arrival("keys and values", rows * width).reshape(rows, width);
        long firstRow = 0;
        for (TokenPlacement placement : placements) {
            parts.add(keysAndValues.rows(firstRow, placement.rows()));
            firstRow += placement.rows();
        }
    }

    @Override
    public void forward(int layer, AttentionShard.Weights weights, Block.@Nullable HeadNorms headNorms) {
        block.projectKeysAndValues(normed, weights, headNorms, parts.get(self));
        program.communicate(Lane.KV, AllGather.inPlace(group, self, parts));
        block.projectQueries(normed, weights, headNorms, queries);
        block.attend(layer, queries, keysAndValues, tokens, attended);
        block.output(attended, weights, y, false);
    }
}
