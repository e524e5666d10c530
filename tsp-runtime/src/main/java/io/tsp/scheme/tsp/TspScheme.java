package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.Mesh;
import io.tsp.mesh.Mesh.Axis;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.mesh.Zigzag;
import io.tsp.scheme.ForwardPass;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.LossHead;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.Sublayers;
import io.tsp.scheme.TrainingProgram;
import io.tsp.scheme.TrainingRequest;
import io.tsp.scheme.TrainingStep;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * Folded tensor and sequence parallelism on one axis of D ranks: rank p owns the tokens of zigzag chunks p and 2D-1-p, a
 * bucket of heads, a slice of the MLP's features, a slice of the embedding. Attention weights are broadcast one bucket
 * at a time and keys and values gathered; MLP weights travel round the ranks; outputs accumulate where the tokens are.
 */
public record TspScheme(int degree, int dp) implements Scheme {
    private static final String AXIS = "tsp";

    @Override
    public String name() {
        return AXIS;
    }

    @Override
    public Mesh mesh() {
        return Mesh.of(new Axis("dp", dp), new Axis(AXIS, degree));
    }

    @Override
    public ForwardProgram forward(ForwardRequest request, int rank) {
        RankBuilder builder = new RankBuilder(request, rank, tokens(request, rank));
        return ForwardPass.program(builder, new Whole(builder));
    }

    @Override
    public TrainingProgram training(TrainingRequest request, int rank) {
        RankBuilder builder = new RankBuilder(request, rank, tokens(request.forward(), rank));
        return TrainingStep.program(builder, new Whole(builder), mesh().worldSize());
    }

    private TokenPlacement tokens(ForwardRequest request, int rank) {
        return new TokenPlacement(
                RankBuilder.replicaBatch(request, mesh(), rank),
                Zigzag.chunks(request.seq(), degree, mesh().index(rank, AXIS)));
    }

    private Group group(RankBuilder builder, String... axes) {
        return mesh().group(builder.program().rank(), axes);
    }

    private final class Whole implements Sublayers {
        private final RankBuilder builder;
        private final TspEmbedding embedding;
        private final TspAttention attention;
        private final TspMlp mlp;
        private final LossHead head;
        private final Tensor normed;
        private final Tensor y;

        Whole(RankBuilder builder) {
            this.builder = builder;
            Group group = group(builder, AXIS);
            List<TokenPlacement> placements = group.ranks().stream()
                    .map(peer -> tokens(builder.request(), peer))
                    .toList();
            long rows = builder.tokens().rows();
            normed = builder.activation(
                    "normed", builder.dtype(), rows, builder.config().hidden());
            y = builder.activation("y", DType.F32, rows, builder.config().hidden());
            embedding = new TspEmbedding(builder, group, placements);
            attention = new TspAttention(builder, group, placements, normed, y);
            mlp = new TspMlp(builder, group, normed, y);
            head = new LossHead(builder, normed, new Range(0, builder.config().vocab()), embedding.largestShard());
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
            embedding.embed(x);
        }

        @Override
        public void attention(int layer) {
            attention.forward(layer);
        }

        @Override
        public void mlp(int layer) {
            mlp.forward(layer);
        }

        @Override
        public LossHead.Result loss() {
            embedding.travelHead("loss", (weight, vocab, first) -> head.accumulate(weight, vocab));
            return head.finish(
                    group(builder, "dp", AXIS),
                    mesh().worldSize(),
                    rank -> new LossHead.LogitsPart(
                            tokens(builder.request(), rank),
                            new Range(0, builder.config().vocab())));
        }

        @Override
        public Backward backward() {
            return new WholeBackward(this);
        }
    }

    private final class WholeBackward implements Sublayers.Backward {
        private final Whole forward;
        private final TspEmbeddingBackward embedding;
        private final TspAttentionBackward attention;
        private final TspMlpBackward mlp;
        private final Sharing normSharing;
        private final Tensor dY;
        private final Tensor dNormed;

        WholeBackward(Whole forward) {
            this.forward = forward;
            RankBuilder builder = forward.builder;
            Group replicas = group(builder, "dp");
            Group all = group(builder, "dp", AXIS);
            Sharing sharing = new Sharing(replicas, replicas);
            normSharing = new Sharing(all, all);
            long rows = forward.normed.dim(0);
            dY = builder.activation("gradient of y", builder.dtype(), rows, forward.normed.dim(1));
            dNormed = builder.activation("gradient of normed", DType.F32, rows, forward.normed.dim(1));
            embedding = new TspEmbeddingBackward(forward.embedding, sharing);
            attention = new TspAttentionBackward(forward.attention, sharing, normSharing, dY, dNormed);
            mlp = new TspMlpBackward(forward.mlp, sharing, dY, dNormed);
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
        public void loss() {
            embedding.loss(forward.head, dNormed);
        }

        @Override
        public void mlp(int layer) {
            mlp.backward(layer);
        }

        @Override
        public void attention(int layer) {
            attention.backward(layer);
        }

        @Override
        public void embed() {
            embedding.embed(dY);
        }

        @Override
        public Sharing normSharing() {
            return normSharing;
        }
    }
}
