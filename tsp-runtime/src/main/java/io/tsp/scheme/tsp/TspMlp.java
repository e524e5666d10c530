package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.model.MlpShard;
import io.tsp.scheme.ForwardBuilder;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The gated MLP under tsp: shards of features travel round the ranks, and Y accumulates where the tokens are. No
 * activation moves and nothing is reduced between ranks.
 *
 * <p>Reading order: before this {@link TspAttention}; next {@code ProgramBuilder}.
 */
final class TspMlp {
    private final ForwardBuilder builder;
    private final Tensor normed;
    private final Tensor y;
    private final List<MlpShard> shards;
    private final MlpShard own;
    private final WeightRing ring;

    TspMlp(ForwardBuilder builder, Group group, Tensor normed, Tensor y) {
        this.builder = builder;
        this.normed = normed;
        this.y = y;
        shards = IntStream.range(0, group.size())
                .mapToObj(i -> MlpShard.of(builder.config(), group.size(), i))
                .toList();
        own = shards.get(group.indexOf(builder.program().rank()));
        ring = new WeightRing(
                builder,
                "mlp weights",
                group,
                shards.stream().map(MlpShard::count).toList());
    }

    /** Y = mlp(normed) of one layer. */
    void forward(int layer) {
        Tensor packed = builder.parameterBuffer("layer " + layer + " mlp weights", own.count());
        builder.fill(own.parameters(layer, packed));
        ring.travel(
                packed,
                "layer " + layer + " mlp shard",
                (shard, hop, weights) ->
                        builder.block().mlp(normed, shards.get(shard).view(weights), y, hop > 0));
    }
}
