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
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardBuilder;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.scheme.LossHead;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** The sub-layers of tensor parallelism times sequence parallelism; see {@link TpSpScheme}. */
final class TpSpSublayers implements ForwardBuilder.Sublayers {
    private final TpSpScheme scheme;
    private final ForwardBuilder builder;
    private final ProgramBuilder program;
    private final Block block;
    private final Group tpGroup;
    private final Group spGroup;
    private final int tpIndex;
    private final int spIndex;
    private final Block.Tokens tokens;
    private final Tensor normed;
    private final Tensor y;
    private final Tensor queries;
    private final Tensor attended;
    private final List<Tensor> keysAndValues = new ArrayList<>();
    private final Tensor allKeysAndValues;
    private final AttentionShard attentionShard;
    private final MlpShard mlpShard;
    private final Range vocab;
    private final Tensor table;

    TpSpSublayers(TpSpScheme scheme, ForwardBuilder builder) {
        this.scheme = scheme;
        this.builder = builder;
        program = builder.program();
        block = builder.block();
        Mesh mesh = scheme.mesh();
        tpGroup = mesh.group(program.rank(), TpSpScheme.TP);
        spGroup = mesh.group(program.rank(), TpSpScheme.SP);
        tpIndex = tpGroup.indexOf(program.rank());
        spIndex = spGroup.indexOf(program.rank());
        List<TokenPlacement> placements = spGroup.ranks().stream()
                .map(rank -> scheme.tokens(builder.request(), rank))
                .toList();
        tokens = builder.attentionTokens(List.of(builder.tokens()), placements);
        var config = builder.config();
        Bucket bucket =
                HeadBuckets.of(config.heads(), config.kvHeads(), scheme.tp()).get(tpIndex);
        attentionShard = new AttentionShard(config, builder.dtype(), bucket.heads(), bucket.kvUsed());
        mlpShard = MlpShard.of(config, scheme.tp(), tpIndex);
        vocab = vocab(tpIndex);
        table = builder.parameter(WeightNames.EMBEDDING, vocab, new Range(0, config.hidden()));

        long rows = builder.tokens().rows();
        normed = builder.activation("normed", builder.dtype(), rows, config.hidden());
        y = builder.activation("y", DType.F32, rows, config.hidden());
        long width = bucket.heads().count() * config.headDim();
        queries = builder.activation("queries", builder.dtype(), rows, width);
        attended = builder.activation("attended", builder.dtype(), rows, width);
        long kvRows = placements.stream().mapToLong(TokenPlacement::rows).sum();
        allKeysAndValues = program.allocate(
                "keys and values",
                spGroup.size() > 1 ? MemoryClass.COMMUNICATION : MemoryClass.TRANSIENT,
                builder.dtype(),
                kvRows,
                2 * bucket.kvUsed().count() * config.headDim());
        long firstRow = 0;
        for (TokenPlacement placement : placements) {
            keysAndValues.add(allKeysAndValues.rows(firstRow, placement.rows()));
            firstRow += placement.rows();
        }
    }

    private Range vocab(int index) {
        return Range.part(builder.config().vocab(), scheme.tp(), index);
    }

    /** With regions, a rank's rows outside the matrix products: some rows of the tp group's tokens. */
    private List<Tensor> regions(Tensor tensor) {
        return IntStream.range(0, tpGroup.size())
                .mapToObj(i -> Range.part(tensor.dim(0), tpGroup.size(), i))
                .map(rows -> tensor.rows(rows.from(), rows.count()))
                .toList();
    }

    private Tensor region(Tensor tensor) {
        return scheme.regions() ? regions(tensor).get(tpIndex) : tensor;
    }

    @Override
    public Tensor normed() {
        return region(normed);
    }

    @Override
    public Tensor y() {
        return region(y);
    }

    /** Each rank looks up its part of the vocabulary; the sum over the tp group has every row once and zeros. */
    @Override
    public Tensor embed() {
        Tensor ids = builder.tokenInput(TokenKind.IDS, List.of(builder.tokens()));
        program.compute(new Embedding(table, ids, normed, vocab.from(), false));
        reduce(normed);
        Tensor own = normed();
        Tensor x = builder.activation("x", builder.dtype(), own.dim(0), own.dim(1));
        program.compute(new Copy(own, x));
        return x;
    }

    @Override
    public void attention(int layer) {
        gatherRegions();
        Tensor packed = builder.parameterBuffer("layer " + layer + " attention weights", attentionShard.count());
        builder.fill(attentionShard.parameters(layer, packed));
        AttentionShard.Weights weights = attentionShard.view(packed);
        Block.HeadNorms headNorms = builder.headNorms(layer);
        block.projectKeysAndValues(normed, weights, headNorms, keysAndValues.get(spIndex));
        program.communicate(Lane.KV, AllGather.inPlace(spGroup, spIndex, keysAndValues));
        block.projectQueries(normed, weights, headNorms, queries);
        block.attend(layer, queries, allKeysAndValues, tokens, attended);
        block.output(attended, weights, y, false);
        reduce(y);
    }

    @Override
    public void mlp(int layer) {
        gatherRegions();
        Tensor packed = builder.parameterBuffer("layer " + layer + " mlp weights", mlpShard.count());
        builder.fill(mlpShard.parameters(layer, packed));
        block.mlp(normed, mlpShard.view(packed), y, false);
        reduce(y);
    }

    /** With regions, the input of a sub-layer comes together from the tp group. */
    private void gatherRegions() {
        if (scheme.regions()) {
            program.communicate(Lane.KV, AllGather.inPlace(tpGroup, tpIndex, regions(normed)));
        }
    }

    /** Partial results of the tp group are summed: everywhere, or each rank's rows. */
    private void reduce(Tensor partial) {
        if (scheme.regions()) {
            program.communicate(Lane.KV, new ReduceScatter(tpGroup, tpIndex, regions(partial)));
        } else {
            program.communicate(Lane.KV, new AllReduce(tpGroup, tpIndex, partial));
        }
    }

    @Override
    public LossHead.Result loss() {
        gatherRegions();
        Tensor weight = builder.config().tiedEmbeddings()
                ? table
                : builder.parameter(
                        WeightNames.head(builder.config()),
                        vocab,
                        new Range(0, builder.config().hidden()));
        LossHead head = new LossHead(builder, normed, vocab, vocab.count());
        head.accumulate(weight, vocab);
        head.merge(tpGroup);
        Mesh mesh = scheme.mesh();
        return head.finish(
                mesh.group(program.rank(), "dp", TpSpScheme.SP),
                mesh.worldSize(),
                rank -> new LossHead.LogitsPart(
                        scheme.tokens(builder.request(), rank), vocab(mesh.index(rank, TpSpScheme.TP))));
    }
}
