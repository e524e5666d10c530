package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.Mesh;
import io.tsp.mesh.Mesh.Axis;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.mesh.Zigzag;
import io.tsp.scheme.ForwardPass;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingProgram;
import io.tsp.scheme.TrainingRequest;
import io.tsp.scheme.TrainingStep;
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

    static final String AXIS = "shard";

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
        RankBuilder builder = new RankBuilder(request, rank, tokens(request, rank));
        return ForwardPass.program(builder, new GatheredSublayers(this, builder));
    }

    @Override
    public TrainingProgram training(TrainingRequest request, int rank) {
        RankBuilder builder = new RankBuilder(request, rank, tokens(request.forward(), rank));
        return TrainingStep.program(builder, new GatheredSublayers(this, builder), mesh().worldSize());
    }

    Group group(RankBuilder builder, String... axes) {
        return mesh().group(builder.program().rank(), axes);
    }

    /** Zigzag where causal attention has to be balanced; with ulysses each rank sees whole sequences. */
    TokenPlacement tokens(ForwardRequest request, int rank) {
        int index = mesh().index(rank, AXIS);
        List<Range> chunks = kind == Kind.FSDP_SP
                ? Zigzag.chunks(request.seq(), degree, index)
                : List.of(Range.part(request.seq(), degree, index));
        return new TokenPlacement(RankBuilder.replicaBatch(request, mesh(), rank), chunks);
    }
}
