package io.tsp.scheme.tpsp;

import io.tsp.mesh.Mesh;
import io.tsp.mesh.Mesh.Axis;
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

/**
 * Tensor parallelism over T ranks (Megatron, arXiv 1909.08053: weights sharded, tokens replicated, outputs all-reduced)
 * times sequence parallelism over Sigma ranks (weights replicated, tokens in zigzag order, keys and values gathered).
 * With Sigma = 1 this is tp, with T = 1 it is sp, with both it is one rank alone.
 *
 * @param name single, tp, tp+sp-regions, sp or tp+sp:TxS
 * @param tp T
 * @param sp Sigma
 * @param regions whether tokens are sharded over the T ranks outside the matrix products, with reduce-scatter and
 *     all-gather in place of all-reduce (Megatron's sequence-parallel regions, arXiv 2205.05198)
 */
public record TpSpScheme(String name, int tp, int sp, int dp, boolean regions) implements Scheme {
    static final String TP = "tp";
    static final String SP = "sp";

    /** One rank alone; with dp, replicas of it. */
    public static TpSpScheme single(int dp) {
        return new TpSpScheme("single", 1, 1, dp, false);
    }

    @Override
    public Mesh mesh() {
        return Mesh.of(new Axis("dp", dp), new Axis(SP, sp), new Axis(TP, tp));
    }

    @Override
    public ForwardProgram forward(ForwardRequest request, int rank) {
        RankBuilder builder = new RankBuilder(request, rank, tokens(request, rank));
        return ForwardPass.program(builder, new TpSpSublayers(this, builder));
    }

    @Override
    public TrainingProgram training(TrainingRequest request, int rank) {
        RankBuilder builder = new RankBuilder(request, rank, tokens(request.forward(), rank));
        return TrainingStep.program(builder, new TpSpSublayers(this, builder), mesh().worldSize());
    }

    /** Tokens whose queries a rank computes: the same on all ranks of a tp group. */
    TokenPlacement tokens(ForwardRequest request, int rank) {
        return new TokenPlacement(
                RankBuilder.replicaBatch(request, mesh(), rank),
                Zigzag.chunks(request.seq(), sp, mesh().index(rank, SP)));
    }
}
