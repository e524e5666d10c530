package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.BlockBackward;
import io.tsp.model.BlockBackward.MlpScratch;
import io.tsp.model.MlpGradients;
import io.tsp.model.WeightNames;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.op.Panels;
import io.tsp.op.TrainingOp.EmbeddingBackward;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.scheme.KvGatherAttention;
import io.tsp.scheme.LossHead;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.scheme.SequenceAttention;
import io.tsp.scheme.Sublayers;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The sub-layers of {@link GatheredScheme}. */
final class GatheredSublayers implements Sublayers {
    private final GatheredScheme scheme;
    private final RankBuilder builder;
    private final GatheredWeights weights;
    private final SequenceAttention attention;
    private final LossHead head;
    private final Tensor ids;
    private final Tensor normed;
    private final Tensor y;

    GatheredSublayers(GatheredScheme scheme, RankBuilder builder) {
        this.scheme = scheme;
        this.builder = builder;
        var config = builder.config();
        Group group = scheme.group(builder, GatheredScheme.AXIS);
        List<TokenPlacement> placements = group.ranks().stream()
                .map(peer -> scheme.tokens(builder.request(), peer))
                .toList();
        weights = new GatheredWeights(builder, group);
        weights.vocabularyShard(WeightNames.EMBEDDING);
        ids = builder.tokenInput(TokenKind.IDS, List.of(builder.tokens()));
        long rows = builder.tokens().rows();
        normed = builder.activation("normed", builder.dtype(), rows, config.hidden());
        y = builder.activation("y", DType.F32, rows, config.hidden());
        attention = scheme.kind() == GatheredScheme.Kind.FSDP_SP
                ? new KvGatherAttention(builder, group, placements, config.heads(), config.kvHeads(), y)
                : new UlyssesAttention(builder, group, placements, y);
        head = new LossHead(builder, normed, vocab(), config.vocab());
    }

    private Range vocab() {
        return new Range(0, builder.config().vocab());
    }

    /** A table [V, h], gathered. */
    private Tensor vocabulary(String name) {
        return weights.vocabulary(weights.vocabularyShard(name));
    }

    @Override
    public Tensor normed(int sublayer) {
        return builder.input(sublayer, normed);
    }

    @Override
    public Tensor y() {
        return y;
    }

    @Override
    public void embed(Tensor x) {
        builder.program().compute(new Embedding(vocabulary(WeightNames.EMBEDDING), ids, x, 0, false));
    }

    @Override
    public void attention(int layer) {
        attention.forward(layer, normed(2 * layer), weights.attention(layer));
    }

    @Override
    public void mlp(int layer) {
        builder.block().mlp(normed(2 * layer + 1), weights.mlp(layer), y, preActivations(layer), false);
    }

    private @Nullable Tensor preActivations(int layer) {
        long features = Panels.pad(builder.config().intermediate());
        return builder.preActivations(layer, "", normed.dim(0), features);
    }

    @Override
    public LossHead.Result loss() {
        head.accumulate(vocabulary(WeightNames.head(builder.config())), vocab());
        return head.finish(
                scheme.group(builder, "dp", GatheredScheme.AXIS),
                scheme.mesh().worldSize(),
                rank -> new LossHead.LogitsPart(scheme.tokens(builder.request(), rank), vocab()));
    }

    @Override
    public Backward backward() {
        return new WholeBackward();
    }

    /** The gradients: weights are gathered again, and their gradients reduce-scattered. */
    private final class WholeBackward implements Backward {
        private final BlockBackward block = builder.blockBackward();
        private final GatheredGradients gradients;
        private final SequenceAttention.Backward attentionBackward;
        private final Sharing normSharing;
        private final Tensor dY;
        private final Tensor dNormed;
        private final MlpScratch scratch;

        WholeBackward() {
            Group replicas = scheme.group(builder, "dp");
            Group all = scheme.group(builder, "dp", GatheredScheme.AXIS);
            normSharing = new Sharing(all, all);
            gradients = new GatheredGradients(weights, new Sharing(replicas, replicas), normSharing);
            long rows = normed.dim(0);
            dY = builder.activation("gradient of y", builder.dtype(), rows, normed.dim(1));
            dNormed = builder.activation("gradient of normed", DType.F32, rows, normed.dim(1));
            attentionBackward = attention.backward(dY, dNormed, normSharing);
            long features = Panels.pad(builder.config().intermediate());
            scratch = new MlpScratch(
                    builder.activation("mlp hidden", builder.dtype(), rows, features),
                    builder.activation("gradient of gate", builder.dtype(), rows, features),
                    builder.activation("gradient of up", builder.dtype(), rows, features));
        }

        @Override
        public Tensor dY() {
            return dY;
        }

        @Override
        public Tensor dNormed() {
            return dNormed;
        }

        @Override
        public Sharing normSharing() {
            return normSharing;
        }

        @Override
        public void loss() {
            String name = WeightNames.head(builder.config());
            head.backward(vocabulary(name), vocab(), dNormed, true, gradients.vocabulary(name), false);
            gradients.reduceVocabulary(name, builder.accumulates());
        }

        @Override
        public void mlp(int layer) {
            Tensor x = normed(2 * layer + 1);
            block.mlp(x, weights.mlp(layer), dY, preActivations(layer), scratch, dNormed, true);
            MlpGradients.Views views = gradients.mlp();
            block.mlpWeights(x, dY, scratch, views, false);
            gradients.reduceMlp(layer);
        }

        @Override
        public void attention(int layer) {
            attentionBackward.run(
                    layer,
                    normed(2 * layer),
                    weights.attention(layer),
                    gradients.queries(layer),
                    gradients.keysAndValues(layer));
            gradients.reduceAttention(layer);
        }

        @Override
        public void embed() {
            Tensor gradient = gradients.vocabulary(WeightNames.EMBEDDING);
            builder.program().compute(new EmbeddingBackward(dY, ids, gradient, 0, false));
            boolean tied = builder.config().tiedEmbeddings();
            gradients.reduceVocabulary(WeightNames.EMBEDDING, tied || builder.accumulates());
        }
    }
}
