package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.model.MlpShard;
import io.tsp.op.Panels;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The gated MLP under tsp: shards of features travel round the ranks, and Y accumulates where the tokens are. No
 * activation moves and nothing is reduced between ranks.
 *
 * <p>Reading order: before this {@link TspAttention}; next {@code ProgramBuilder}. Gradients: {@link TspMlpBackward}.
 */
final class TspMlp {
    final RankBuilder builder;
    final Group group;
    final Tensor normed;
    final List<MlpShard> shards;
    final MlpShard own;
    final WeightRing ring;
    private final Tensor y;

    TspMlp(RankBuilder builder, Group group, Tensor normed, Tensor y) {
        this.builder = builder;
        this.group = group;
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
        Tensor x = input(layer);
        ring.travel(
                weights(layer),
                "layer " + layer + " mlp shard",
                (shard, hop, weights) -> builder.block()
                        .mlp(x, shards.get(shard).view(weights), y, preActivations(layer, shard), hop > 0));
    }

    Tensor input(int layer) {
        return builder.input(2 * layer + 1, normed);
    }

    @Nullable
    Tensor preActivations(int layer, int shard) {
        long features = Panels.pad(shards.get(shard).features().count());
        return builder.preActivations(layer, " " + shard, normed.dim(0), features);
    }

    Tensor weights(int layer) {
        return builder.weights()
                .buffer("layer " + layer + " mlp weights", own.count(), packed -> own.parameters(layer, packed));
    }
}
