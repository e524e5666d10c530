package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.HeadBuckets;
import io.tsp.mesh.HeadBuckets.Bucket;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.scheme.SequenceAttention;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Ulysses (arXiv 2309.14509): all-to-all from own tokens of all heads to all tokens of own heads, attention over whole
 * sequences, all-to-all back. With more ranks than key/value heads a head goes to every rank that reads it.
 */
final class UlyssesAttention implements SequenceAttention {
    final RankBuilder builder;
    final Group group;
    final List<Bucket> buckets;
    final List<TokenPlacement> placements;
    final Tensor ownQueries;
    final Tensor ownKeysAndValues;
    final Tensor queries;
    final Tensor keysAndValues;
    final Tensor merged;
    private final ProgramBuilder program;
    private final Block block;
    private final int self;
    private final long headDim;
    private final Block.Tokens tokens;
    private final Tensor y;
    private final List<Tensor> queriesToSend;
    private final List<Tensor> kvToSend;
    private final List<Tensor> queryParts;
    private final List<Tensor> kvParts;
    private final Tensor attended;
    private final List<Tensor> returned;

    UlyssesAttention(RankBuilder builder, Group group, List<TokenPlacement> placements, Tensor y) {
        this.builder = builder;
        this.program = builder.program();
        this.block = builder.block();
        this.group = group;
        this.placements = placements;
        this.self = group.indexOf(program.rank());
        this.y = y;
        headDim = builder.config().headDim();
        buckets = HeadBuckets.of(builder.config().heads(), builder.config().kvHeads(), group.size());
        tokens = builder.attentionTokens(placements, placements);
        long own = y.dim(0);
        long all = placements.stream().mapToLong(TokenPlacement::rows).sum();
        List<Long> queryWidths = queryWidths();
        List<Long> kvWidths = kvWidths();
        ownQueries = builder.activation("own queries", builder.dtype(), own, sum(queryWidths));
        ownKeysAndValues = builder.activation(
                "own keys and values",
                builder.dtype(),
                own,
                2L * builder.config().kvHeads() * headDim);
        queriesToSend =
                messages(builder.activation("queries to send", builder.dtype(), own, sum(queryWidths)), queryWidths);
        kvToSend =
                messages(builder.activation("keys and values to send", builder.dtype(), own, sum(kvWidths)), kvWidths);
        queries = builder.arrival("queries of own heads", all * queryWidths.get(self))
                .reshape(all, queryWidths.get(self));
        keysAndValues = builder.arrival("keys and values of own heads", all * kvWidths.get(self))
                .reshape(all, kvWidths.get(self));
        attended = builder.activation("attended", builder.dtype(), all, queries.dim(1));
        queryParts = rowsOf(queries, placements);
        kvParts = rowsOf(keysAndValues, placements);
        Tensor back = builder.arrival("attended of own tokens", own * sum(queryWidths));
        returned = messages(back.reshape(own, sum(queryWidths)), queryWidths);
        merged = builder.activation("merged heads", builder.dtype(), own, sum(queryWidths));
    }

    /** Columns of each rank's query heads. */
    List<Long> queryWidths() {
        return widths(bucket -> bucket.heads().count());
    }

    /** Columns of the keys and values that each rank reads. */
    List<Long> kvWidths() {
        return widths(bucket -> 2 * bucket.kvUsed().count());
    }

    private List<Long> widths(ToLongFunction<Bucket> heads) {
        return buckets.stream()
                .map(bucket -> heads.applyAsLong(bucket) * headDim)
                .toList();
    }

    static long sum(List<Long> values) {
        return values.stream().mapToLong(Long::longValue).sum();
    }

    /** Cuts a buffer into dense matrices [rows, width i], one for each peer. */
    static List<Tensor> messages(Tensor buffer, List<Long> widths) {
        Tensor flat = buffer.reshape(buffer.count());
        List<Tensor> parts = new ArrayList<>();
        long first = 0;
        for (long width : widths) {
            long count = buffer.dim(0) * width;
            parts.add(flat.rows(first, count).reshape(buffer.dim(0), width));
            first += count;
        }
        return parts;
    }

    static List<Tensor> rowsOf(Tensor tensor, List<TokenPlacement> placements) {
        List<Tensor> parts = new ArrayList<>();
        long first = 0;
        for (TokenPlacement placement : placements) {
            parts.add(tensor.rows(first, placement.rows()));
            first += placement.rows();
        }
        return parts;
    }

    @Override
    public void forward(int layer, Tensor x, AttentionShard.Weights weights) {
        project(layer, x, weights, builder.keepsAll());
        distribute(layer);
        program.compute(attention(layer));
        merge(layer);
        block.output(merged, weights, y, false);
    }

    /** @param beforeNorm whether the gradients of the norms of heads will need what they read */
    private void project(int layer, Tensor x, AttentionShard.Weights weights, boolean beforeNorm) {
        Block.HeadNorms norms = builder.headNorms(layer);
        boolean kept = beforeNorm && norms != null;
        block.projectQueries(x, weights, norms, ownQueries(layer), kept ? queriesBeforeNorm(layer) : null);
        block.projectKeysAndValues(x, weights, norms, ownKeysAndValues(layer), kept ? keysBeforeNorm(layer) : null);
    }

    private Tensor ownQueries(int layer) {
        return builder.kept(layer, "queries", ownQueries);
    }

    private Tensor ownKeysAndValues(int layer) {
        return builder.kept(layer, "keys and values", ownKeysAndValues);
    }

    /** Own tokens of all heads become all tokens of own heads. */
    private void distribute(int layer) {
        for (int i = 0; i < buckets.size(); i++) {
            copy(queryColumns(ownQueries(layer), i), queriesToSend.get(i));
            copyKeysAndValues(i, ownKeysAndValues(layer), kvToSend.get(i), false);
        }
        exchange(queriesToSend, queryParts);
        exchange(kvToSend, kvParts);
    }

    private Attention attention(int layer) {
        return block.attention(layer, queries, keysAndValues, tokens, attended(layer), logSumExp(layer));
    }

    /** All tokens of own heads become own tokens of all heads. */
    private void merge(int layer) {
        exchange(rowsOf(attended(layer), placements), returned);
        for (int i = 0; i < buckets.size(); i++) {
            copy(returned.get(i), queryColumns(merged, i));
        }
    }

    /** The launch of a layer and all it reads and writes, as in the forward pass; also the projections before norms. */
    Attention restore(int layer, Tensor x, AttentionShard.Weights weights) {
        if (!builder.keepsAll()) {
            project(layer, x, weights, true);
        }
        distribute(layer);
        Attention attention = attention(layer);
        if (!builder.keepsAttention()) {
            program.compute(attention);
        }
        merge(layer);
        return attention;
    }

    Tensor queriesBeforeNorm(int layer) {
        return builder.keptOrScratch(layer, "queries before norm", ownQueries.dim(0), ownQueries.dim(1));
    }

    Tensor keysBeforeNorm(int layer) {
        return builder.keptOrScratch(layer, "keys before norm", ownKeysAndValues.dim(0), ownKeysAndValues.dim(1) / 2);
    }

    private Tensor attended(int layer) {
        return builder.keepsAttention()
                ? builder.saved("layer " + layer + " attended", builder.dtype(), attended.dim(0), attended.dim(1))
                : attended;
    }

    private @Nullable Tensor logSumExp(int layer) {
        if (builder.training() == null) {
            return null;
        }
        long heads = queries.dim(1) / headDim;
        return builder.keepsAttention()
                ? builder.saved("layer " + layer + " log-sum-exp", DType.F32, queries.dim(0), heads)
                : builder.scratch("log-sum-exp", DType.F32, queries.dim(0), heads);
    }

    /** The columns of rank i's query heads. */
    Tensor queryColumns(Tensor all, int i) {
        Range heads = buckets.get(i).heads();
        return all.slice(1, heads.from() * headDim, heads.count() * headDim);
    }

    /** Between the keys and values of all heads and a message with those that rank i reads. */
    void copyKeysAndValues(int i, Tensor all, Tensor message, boolean back) {
        Range kv = buckets.get(i).kvUsed();
        long width = kv.count() * headDim;
        for (int half = 0; half < 2; half++) {
            Tensor columns = all.slice(1, half * all.dim(1) / 2 + kv.from() * headDim, width);
            Tensor part = message.slice(1, half * width, width);
            copy(back ? part : columns, back ? columns : part);
        }
    }

    private void copy(Tensor source, Tensor target) {
        program.compute(new Copy(source, target));
    }

    void exchange(List<Tensor> send, List<Tensor> receive) {
        if (group.size() == 1) {
            program.compute(new Copy(send.getFirst(), receive.getFirst()));
        } else {
            program.communicate(Lane.KV, new AllToAll(group, self, send, receive));
        }
    }

    @Override
    public Backward backward(Tensor dY, Tensor dNormed, Sharing headNorms) {
        return new UlyssesBackward(this, dY, dNormed, headNorms);
    }
}
