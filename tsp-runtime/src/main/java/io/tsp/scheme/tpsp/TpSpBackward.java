package io.tsp.scheme.tpsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.HeadBuckets;
import io.tsp.mesh.HeadBuckets.Bucket;
import io.tsp.mesh.Mesh;
import io.tsp.mesh.Range;
import io.tsp.model.AttentionGradients;
import io.tsp.model.BlockBackward;
import io.tsp.model.BlockBackward.MlpScratch;
import io.tsp.model.MlpGradients;
import io.tsp.model.MlpShard;
import io.tsp.model.WeightNames;
import io.tsp.op.Panels;
import io.tsp.op.TrainingOp.EmbeddingBackward;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.scheme.SequenceAttention;
import io.tsp.scheme.Sublayers;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * The gradients of {@link TpSpSublayers}: what was gathered is reduce-scattered, what was reduced is gathered. Gradients
 * of weights are summed over the ranks with other tokens by the step itself.
 */
final class TpSpBackward implements Sublayers.Backward {
    private final TpSpSublayers forward;
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final BlockBackward block;
    private final Mesh mesh;
    private final List<Bucket> buckets;
    private final Tensor dY;
    private final Tensor dNormed;
    private final SequenceAttention.Backward attention;
    private final MlpScratch mlp;

    TpSpBackward(TpSpSublayers forward) {
        this.forward = forward;
        builder = forward.builder;
        program = builder.program();
        block = builder.blockBackward();
        mesh = forward.scheme.mesh();
        var config = builder.config();
        buckets = HeadBuckets.of(config.heads(), config.kvHeads(), forward.scheme.tp());
        long rows = forward.normed.dim(0);
        dY = builder.activation("gradient of y", builder.dtype(), rows, config.hidden());
        dNormed = builder.activation("gradient of normed", DType.F32, rows, config.hidden());
        Group all = group("dp", TpSpScheme.SP, TpSpScheme.TP);
        // Every rank of a tp group saw other heads, so the gradients of their norms are summed over all ranks.
        attention = forward.attention.backward(dY, dNormed, new Sharing(all, all));
        long features = Panels.pad(forward.mlpShard.features().count());
        mlp = new MlpScratch(
                builder.activation("mlp hidden", builder.dtype(), rows, features),
                builder.activation("gradient of gate", builder.dtype(), rows, features),
                builder.activation("gradient of up", builder.dtype(), rows, features));
    }

    @Override
    public Tensor dY() {
        return forward.region(dY);
    }

    @Override
    public Tensor dNormed() {
        return forward.region(dNormed);
    }

    /** Ranks with other tokens and the same weights share gradients; ranks with the same tokens and weights agree. */
    @Override
    public Sharing normSharing() {
        Group all = group("dp", TpSpScheme.SP, TpSpScheme.TP);
        return new Sharing(forward.scheme.regions() ? all : group("dp", TpSpScheme.SP), all);
    }

    private Group group(String... axes) {
        return mesh.group(program.rank(), axes);
    }

    private Sharing shardSharing() {
        Group replicas = group("dp", TpSpScheme.SP);
        return new Sharing(replicas, replicas);
    }

    /** With more ranks than key/value heads, several ranks hold the same head and saw other queries. */
    private Sharing kvSharing() {
        Range own = forward.attentionShard.kvHeads();
        List<Integer> ranks = group("dp", TpSpScheme.SP, TpSpScheme.TP).ranks().stream()
                .filter(rank -> {
                    Range other = buckets.get(mesh.index(rank, TpSpScheme.TP)).kvUsed();
                    return rank == program.rank() || (!own.isEmpty() && other.equals(own));
                })
                .toList();
        Group sharing = new Group("dp+sp+kv-head", ranks);
        return own.isEmpty() ? shardSharing() : new Sharing(sharing, sharing);
    }

    @Override
    public void loss() {
        Tensor gradient = builder.weights()
                .matrixGradient(
                        WeightNames.head(builder.config()),
                        forward.vocab,
                        new Range(0, builder.config().hidden()),
                        shardSharing());
        forward.head.backward(forward.headWeight(), forward.vocab, dNormed, true, gradient, builder.accumulates());
        forward.reduce(dNormed);
    }

    @Override
    public void mlp(int layer) {
        Tensor x = forward.gatherInput(2 * layer + 1);
        forward.gatherRegions(dY);
        MlpShard.Weights weights = forward.mlpWeights(layer);
        MlpGradients gradients = new MlpGradients(builder.config(), forward.mlpShard.features());
        Tensor buffer = builder.weights()
                .gradient(
                        "layer " + layer + " mlp weights",
                        gradients.count(),
                        shardSharing(),
                        tensor -> gradients.parts(layer, tensor))
                .buffer();
        block.mlp(x, weights, dY, forward.preActivations(layer), mlp, dNormed, true);
        block.mlpWeights(x, dY, mlp, gradients.view(buffer), builder.accumulates());
        forward.reduce(dNormed);
    }

    @Override
    public void attention(int layer) {
        Tensor x = forward.gatherInput(2 * layer);
        forward.gatherRegions(dY);
        AttentionGradients gradients = new AttentionGradients(forward.attentionShard);
        attention.run(
                layer,
                x,
                forward.attentionWeights(layer),
                queryGradients(layer, gradients),
                kvGradients(layer, gradients));
        forward.reduce(dNormed);
    }

    private AttentionGradients.Queries queryGradients(int layer, AttentionGradients gradients) {
        return gradients.queries(
                builder.weights()
                        .gradient(
                                "layer " + layer + " q and o weights",
                                gradients.queryCount(),
                                shardSharing(),
                                buffer -> gradients.queryParts(layer, buffer))
                        .buffer(),
                builder.accumulates());
    }

    private AttentionGradients.KeysAndValues kvGradients(int layer, AttentionGradients gradients) {
        return gradients.keysAndValues(
                builder.weights()
                        .gradient(
                                "layer " + layer + " k and v weights",
                                gradients.kvCount(),
                                kvSharing(),
                                buffer -> gradients.kvParts(layer, buffer))
                        .buffer(),
                builder.accumulates());
    }

    @Override
    public void embed() {
        forward.gatherRegions(dY);
        boolean tied = builder.config().tiedEmbeddings();
        Tensor gradient = builder.weights()
                .matrixGradient(
                        WeightNames.EMBEDDING,
                        forward.vocab,
                        new Range(0, builder.config().hidden()),
                        shardSharing());
        program.compute(
                new EmbeddingBackward(dY, forward.ids, gradient, forward.vocab.from(), tied || builder.accumulates()));
    }
}
