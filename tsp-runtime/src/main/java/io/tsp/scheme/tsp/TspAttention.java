package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.Block;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * Attention under tsp (arXiv 2604.26294, algorithm 1). For each bucket of heads r = 0..D-1: the owner's packed
 * {WQ, WO, WK, WV} are broadcast, every rank projects its tokens, keys and values are gathered in one transfer, the
 * rank's queries attend to all keys, and Y += A WO of the bucket. Nothing is reduced between ranks.
 *
 * <p>A pipeline of three: while attention r runs, keys and values of bucket r+1 are on their way, and so are the weights
 * of bucket r+2. Hence three slots for weights and two for keys and values.
 *
 * <p>Reading order: before this {@link Block} and {@code Zigzag}; next {@link TspMlp}. The stages are those of
 * {@link TspAttentionLayer}; gradients: {@link TspAttentionBackward}.
 */
final class TspAttention {
    final TspAttentionSlots slots;
    final Block.Tokens tokens;
    final Tensor normed;
    private final ProgramBuilder program;
    private final Block block;
    private final Tensor y;

    TspAttention(RankBuilder builder, Group group, List<TokenPlacement> placements, Tensor normed, Tensor y) {
        this.program = builder.program();
        this.block = builder.block();
        this.normed = normed;
        this.y = y;
        tokens = builder.attentionTokens(List.of(builder.tokens()), placements);
        slots = new TspAttentionSlots(builder, group, placements);
    }

    /** Y = attention(normed) of one layer. */
    void forward(int layer) {
        TspAttentionLayer stages = new TspAttentionLayer(slots, tokens, normed, layer, false);
        stages.arrive(0);
        stages.arrive(1);
        stages.project(0);
        for (int r = 0; r < slots.group.size(); r++) {
            stages.arrive(r + 2);
            stages.project(r + 1);
            program.label("layer " + layer + " attention " + r);
            program.compute(stages.attention(r));
            block.output(stages.attended(r), stages.weights(r), y, r > 0);
        }
    }
}
