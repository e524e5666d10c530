package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.Mesh;
import io.tsp.mesh.Mesh.Axis;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.mesh.Zigzag;
import io.tsp.scheme.ForwardBuilder;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.LossHead;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;

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
        ForwardBuilder builder = new ForwardBuilder(request, rank, tokens(request, rank));
        Group group = mesh().group(rank, AXIS);
        List<TokenPlacement> placements =
                group.ranks().stream().map(peer -> tokens(request, peer)).toList();
        return builder.build(new Sublayers(builder, group, placements));
    }

    private TokenPlacement tokens(ForwardRequest request, int rank) {
        return new TokenPlacement(
                ForwardBuilder.replicaBatch(request, mesh(), rank),
                Zigzag.chunks(request.seq(), degree, mesh().index(rank, AXIS)));
    }

    private final class Sublayers implements ForwardBuilder.Sublayers {
        private final ForwardBuilder builder;
        private final TspEmbedding embedding;
        private final TspAttention attention;
        private final TspMlp mlp;
        private final Tensor normed;
        private final Tensor y;

        Sublayers(ForwardBuilder builder, Group group, List<TokenPlacement> placements) {
            this.builder = builder;
            long rows = builder.tokens().rows();
            normed = builder.activation(
                    "normed", builder.dtype(), rows, builder.config().hidden());
            y = builder.activation("y", DType.F32, rows, builder.config().hidden());
            embedding = new TspEmbedding(builder, group, placements);
            attention = new TspAttention(builder, group, placements, normed, y);
            mlp = new TspMlp(builder, group, normed, y);
        }

        @Override
        public Tensor embed() {
            return embedding.embed();
        }

        @Override
        public Tensor normed() {
            return normed;
        }

        @Override
        public Tensor y() {
            return y;
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
            Range vocab = new Range(0, builder.config().vocab());
            LossHead head = new LossHead(builder, normed, vocab, embedding.largestShard());
            embedding.travelHead(head::accumulate);
            Group replicas = mesh().group(builder.program().rank(), "dp", AXIS);
            return head.finish(
                    replicas,
                    mesh().worldSize(),
                    rank -> new LossHead.LogitsPart(tokens(builder.request(), rank), vocab));
        }
    }

    /** The vocabulary of each rank of a group. */
    static List<Range> vocabularies(ForwardBuilder builder, Group group) {
        return IntStream.range(0, group.size())
                .mapToObj(i -> Range.part(builder.config().vocab(), group.size(), i))
                .toList();
    }
}
