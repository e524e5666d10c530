package io.tsp.scheme.tsp;

import io.tsp.model.BlockBackward;
import io.tsp.model.BlockBackward.MlpScratch;
import io.tsp.model.MlpGradients;
import io.tsp.model.MlpShard;
import io.tsp.op.Panels;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * The gradients of {@link TspMlp}: the shards travel once more, and with each one its gradient, which every rank adds to
 * and which is complete when it comes home. No activation moves.
 */
final class TspMlpBackward {
    private final TspMlp forward;
    private final RankBuilder builder;
    private final BlockBackward block;
    private final Sharing sharing;
    private final Tensor dY;
    private final Tensor dNormed;
    private final List<MlpGradients> gradients;
    private final GradientRing ring;
    private final Tensor hidden;
    private final Tensor dGate;
    private final Tensor dUp;

    TspMlpBackward(TspMlp forward, Sharing sharing, Tensor dY, Tensor dNormed) {
        this.forward = forward;
        this.builder = forward.builder;
        this.block = builder.blockBackward();
        this.sharing = sharing;
        this.dY = dY;
        this.dNormed = dNormed;
        gradients = forward.shards.stream()
                .map(shard -> new MlpGradients(builder.config(), shard.features()))
                .toList();
        ring = new GradientRing(
                builder,
                "gradient of mlp weights",
                forward.group,
                gradients.stream().map(MlpGradients::count).toList());
        long widest = forward.shards.stream()
                .mapToLong(shard -> Panels.pad(shard.features().count()))
                .max()
                .orElse(0);
        long rows = forward.normed.dim(0);
        hidden = builder.activation("mlp hidden", builder.dtype(), rows, widest);
        dGate = builder.activation("gradient of gate", builder.dtype(), rows, widest);
        dUp = builder.activation("gradient of up", builder.dtype(), rows, widest);
    }

    /** dNormed = the gradient through the MLP of one layer. */
    void backward(int layer) {
        MlpGradients own = new MlpGradients(builder.config(), forward.own.features());
        Tensor ownGradient = builder.weights()
                .gradient("layer " + layer + " mlp weights", own.count(), sharing, buffer -> own.parts(layer, buffer))
                .buffer();
        Tensor x = forward.input(layer);
        forward.ring.travel(forward.weights(layer), "layer " + layer + " mlp backward shard", (index, hop, weights) -> {
            MlpShard shard = forward.shards.get(index);
            MlpScratch scratch = scratch(Panels.pad(shard.features().count()));
            Tensor saved = forward.preActivations(layer, index);
            block.mlp(x, shard.view(weights), dY, saved, scratch, dNormed, hop == 0);
            Tensor gradient = ring.at(hop, ownGradient);
            block.mlpWeights(
                    x,
                    dY,
                    scratch,
                    gradients.get(index).view(gradient),
                    GradientRing.accumulates(hop, builder.accumulates()));
            ring.pass(hop, ownGradient);
        });
    }

    private MlpScratch scratch(long features) {
        long rows = forward.normed.dim(0);
        return new MlpScratch(
                TspAttentionSlots.matrix(hidden, rows, features),
                TspAttentionSlots.matrix(dGate, rows, features),
                TspAttentionSlots.matrix(dUp, rows, features));
    }
}
