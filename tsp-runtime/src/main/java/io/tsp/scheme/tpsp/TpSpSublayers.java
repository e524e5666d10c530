package io.tsp.scheme.tpsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.HeadBuckets;
import io.tsp.mesh.HeadBuckets.Bucket;
import io.tsp.mesh.Mesh;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import io.tsp.model.MlpShard;
import io.tsp.model.WeightNames;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.op.Panels;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.scheme.KvGatherAttention;
import io.tsp.scheme.LossHead;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.Sublayers;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The sub-layers of tensor parallelism times sequence parallelism; see {@link TpSpScheme}. */
final class TpSpSublayers implements Sublayers {
    final TpSpScheme scheme;
    final RankBuilder builder;
    final Group tpGroup;
    final Group spGroup;
    final int tpIndex;
    final Tensor normed;
    final AttentionShard attentionShard;
    final MlpShard mlpShard;
    final Range vocab;
    final Tensor table;
    final Tensor ids;
    final LossHead head;
    final KvGatherAttention attention;
    private final ProgramBuilder program;
    private final Block block;
    private final Tensor y;

    TpSpSublayers(TpSpScheme scheme, RankBuilder builder) {
        this.scheme = scheme;
        this.builder = builder;
        program = builder.program();
        block = builder.block();
        Mesh mesh = scheme.mesh();
        tpGroup = mesh.group(program.rank(), TpSpScheme.TP);
        spGroup = mesh.group(program.rank(), TpSpScheme.SP);
        tpIndex = tpGroup.indexOf(program.rank());
        List<TokenPlacement> placements = spGroup.ranks().stream()
                .map(rank -> scheme.tokens(builder.request(), rank))
                .toList();
        var config = builder.config();
        Bucket bucket =
                HeadBuckets.of(config.heads(), config.kvHeads(), scheme.tp()).get(tpIndex);
        attentionShard = new AttentionShard(config, builder.dtype(), bucket.heads(), bucket.kvUsed());
        mlpShard = MlpShard.of(config, scheme.tp(), tpIndex);
        vocab = vocab(tpIndex);
        table = builder.weights().matrix(WeightNames.EMBEDDING, vocab, new Range(0, config.hidden()));
        ids = builder.tokenInput(TokenKind.IDS, List.of(builder.tokens()));

        long rows = builder.tokens().rows();
        normed = builder.activation("normed", builder.dtype(), rows, config.hidden());
        y = builder.activation("y", DType.F32, rows, config.hidden());
        attention = new KvGatherAttention(
                builder,
                spGroup,
                placements,
                bucket.heads().count(),
                bucket.kvUsed().count(),
                y);
        head = new LossHead(builder, normed, vocab, vocab.count());
    }

    private Range vocab(int index) {
        return Range.part(builder.config().vocab(), scheme.tp(), index);
    }

    /** With regions, a rank's rows outside the matrix products: some rows of the tp group's tokens. */
    List<Tensor> regions(Tensor tensor) {
        return IntStream.range(0, tpGroup.size())
                .mapToObj(i -> Range.part(tensor.dim(0), tpGroup.size(), i))
                .map(rows -> tensor.rows(rows.from(), rows.count()))
                .toList();
    }

    Tensor region(Tensor tensor) {
        return scheme.regions() ? regions(tensor).get(tpIndex) : tensor;
    }

    @Override
    public Tensor normed(int sublayer) {
        return builder.input(sublayer, region(normed));
    }

    /** What a sub-layer reads of all tokens of the tp group: with regions it comes together from the group. */
    Tensor gatherInput(int sublayer) {
        if (!scheme.regions() || tpGroup.size() == 1) {
            return normed(sublayer);
        }
        program.communicate(Lane.KV, new AllGather(tpGroup, tpIndex, normed(sublayer), regions(normed)));
        return normed;
    }

    @Override
    public Tensor y() {
        return region(y);
    }

    /** Each rank looks up its part of the vocabulary; the sum over the tp group has every row once and zeros. */
    @Override
    public void embed(Tensor x) {
        program.compute(new Embedding(table, ids, normed, vocab.from(), false));
        reduce(normed);
        program.compute(new Copy(region(normed), x));
    }

    @Override
    public void attention(int layer) {
        attention.forward(layer, gatherInput(2 * layer), attentionWeights(layer));
        reduce(y);
    }

    AttentionShard.Weights attentionWeights(int layer) {
        return attentionShard.view(builder.weights()
                .buffer(
                        "layer " + layer + " attention weights",
                        attentionShard.count(),
                        packed -> attentionShard.parameters(layer, packed)));
    }

    MlpShard.Weights mlpWeights(int layer) {
        return mlpShard.view(builder.weights()
                .buffer(
                        "layer " + layer + " mlp weights",
                        mlpShard.count(),
                        packed -> mlpShard.parameters(layer, packed)));
    }

    @Override
    public void mlp(int layer) {
        block.mlp(gatherInput(2 * layer + 1), mlpWeights(layer), y, preActivations(layer), false);
        reduce(y);
    }

    @Nullable
    Tensor preActivations(int layer) {
        return builder.preActivations(
                layer, "", normed.dim(0), Panels.pad(mlpShard.features().count()));
    }

    /** With regions, the input of a sub-layer comes together from the tp group. */
    void gatherRegions(Tensor tensor) {
        if (scheme.regions()) {
            program.communicate(Lane.KV, AllGather.inPlace(tpGroup, tpIndex, regions(tensor)));
        }
    }

    /** Partial results of the tp group are summed: everywhere, or each rank's rows. */
    void reduce(Tensor partial) {
        if (scheme.regions()) {
            program.communicate(Lane.KV, new ReduceScatter(tpGroup, tpIndex, regions(partial)));
        } else {
            program.communicate(Lane.KV, new AllReduce(tpGroup, tpIndex, partial));
        }
    }

    /** The output projection. */
    Tensor headWeight() {
        return builder.config().tiedEmbeddings()
                ? table
                : builder.weights()
                        .matrix(
                                WeightNames.head(builder.config()),
                                vocab,
                                new Range(0, builder.config().hidden()));
    }

    @Override
    public LossHead.Result loss() {
        gatherInput(2 * builder.config().layers());
        head.accumulate(headWeight(), vocab);
        head.merge(tpGroup);
        Mesh mesh = scheme.mesh();
        return head.finish(
                mesh.group(program.rank(), "dp", TpSpScheme.SP),
                mesh.worldSize(),
                rank -> new LossHead.LogitsPart(
                        scheme.tokens(builder.request(), rank), vocab(mesh.index(rank, TpSpScheme.TP))));
    }

    @Override
    public Backward backward() {
        return new TpSpBackward(this);
    }
}
