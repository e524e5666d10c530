package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.Mesh;
import io.tsp.mesh.Mesh.Axis;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.mesh.Zigzag;
import io.tsp.model.WeightNames;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.scheme.ForwardBuilder;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.LossHead;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * Schemes that store 1/D of the weights and 1/D of the tokens on each of D ranks as tsp does, but gather each linear
 * whole before it is used: {@code fsdp+sp} gathers keys and values for attention, {@code ulysses} exchanges tokens for
 * heads (arXiv 2309.14509).
 */
public record GatheredScheme(Kind kind, int degree, int dp) implements Scheme {
    /** How attention reaches tokens of other ranks. */
    public enum Kind {
        FSDP_SP("fsdp+sp"),
        ULYSSES("ulysses");

        private final String title;

        Kind(String title) {
            this.title = title;
        }
    }

    private static final String AXIS = "shard";

    @Override
    public String name() {
        return kind.title;
    }

    @Override
    public Mesh mesh() {
        return Mesh.of(new Axis("dp", dp), new Axis(AXIS, degree));
    }

    @Override
    public ForwardProgram forward(ForwardRequest request, int rank) {
        ForwardBuilder builder = new ForwardBuilder(request, rank, tokens(request, rank));
        return builder.build(new Sublayers(builder));
    }

    /** Zigzag where causal attention has to be balanced; with ulysses each rank sees whole sequences. */
    private TokenPlacement tokens(ForwardRequest request, int rank) {
        int index = mesh().index(rank, AXIS);
        List<Range> chunks = kind == Kind.FSDP_SP
                ? Zigzag.chunks(request.seq(), degree, index)
                : List.of(Range.part(request.seq(), degree, index));
        return new TokenPlacement(ForwardBuilder.replicaBatch(request, mesh(), rank), chunks);
    }

    private final class Sublayers implements ForwardBuilder.Sublayers {
        private final ForwardBuilder builder;
        private final GatheredWeights weights;
        private final GatheredAttention attention;
        private final Tensor normed;
        private final Tensor y;
        private final Tensor table;

        Sublayers(ForwardBuilder builder) {
            this.builder = builder;
            Group group = mesh().group(builder.program().rank(), AXIS);
            List<TokenPlacement> placements = group.ranks().stream()
                    .map(peer -> tokens(builder.request(), peer))
                    .toList();
            weights = new GatheredWeights(builder, group);
            table = weights.vocabularyShard(WeightNames.EMBEDDING);
            normed = builder.activation(
                    "normed",
                    builder.dtype(),
                    builder.tokens().rows(),
                    builder.config().hidden());
            y = builder.activation("y", DType.F32, normed.dim(0), normed.dim(1));
            attention = kind == Kind.FSDP_SP
                    ? new KvGatherAttention(builder, group, placements, normed, y)
                    : new UlyssesAttention(builder, group, placements, normed, y);
        }

        @Override
        public Tensor embed() {
            Tensor x = builder.activation("x", builder.dtype(), normed.dim(0), normed.dim(1));
            Tensor ids = builder.tokenInput(TokenKind.IDS, List.of(builder.tokens()));
            builder.program().compute(new Embedding(weights.vocabulary(table), ids, x, 0, false));
            return x;
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
            attention.forward(layer, weights.attention(layer), builder.headNorms(layer));
        }

        @Override
        public void mlp(int layer) {
            builder.block().mlp(normed, weights.mlp(layer), y, false);
        }

        @Override
        public LossHead.Result loss() {
            Range vocab = new Range(0, builder.config().vocab());
            Tensor shard = builder.config().tiedEmbeddings()
                    ? table
                    : weights.vocabularyShard(WeightNames.head(builder.config()));
            LossHead head = new LossHead(builder, normed, vocab, vocab.count());
            head.accumulate(weights.vocabulary(shard), vocab);
            return head.finish(
                    mesh().group(builder.program().rank(), "dp", AXIS),
                    mesh().worldSize(),
                    rank -> new LossHead.LogitsPart(tokens(builder.request(), rank), vocab));
        }
    }
}
