package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.HeadBuckets;
import io.tsp.mesh.HeadBuckets.Bucket;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.AttentionShard;
import io.tsp.model.Block;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Ulysses (arXiv 2309.14509): all-to-all from own tokens of all heads to all tokens of own heads, attention over whole
 * sequences, all-to-all back. With more ranks than key/value heads a head goes to every rank that reads it.
 */
final class UlyssesAttention implements GatheredAttention {
    private final ProgramBuilder program;
    private final Block block;
    private final Group group;
    private final int self;
    private final long headDim;
    private final List<Bucket> buckets;
    private final Block.Tokens tokens;
    private final Tensor normed;
    private final Tensor y;
    private final Tensor ownQueries;
    private final Tensor ownKeysAndValues;
    private final List<Tensor> queriesToSend;
    private final List<Tensor> kvToSend;
    private final Tensor queries;
    private final Tensor keysAndValues;
    private final List<Tensor> queryParts;
    private final List<Tensor> kvParts;
    private final Tensor attended;
    private final List<Tensor> attendedParts;
    private final List<Tensor> returned;
    private final Tensor merged;

    UlyssesAttention(ForwardBuilder builder, Group group, List<TokenPlacement> placements, Tensor normed, Tensor y) {
        this.program = builder.program();
        this.block = builder.block();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.normed = normed;
        this.y = y;
        headDim = builder.config().headDim();
        buckets = HeadBuckets.of(builder.config().heads(), builder.config().kvHeads(), group.size());
        tokens = builder.attentionTokens(placements, placements);
        long own = normed.dim(0);
        long all = placements.stream().mapToLong(TokenPlacement::rows).sum();
        List<Long> queryWidths = widths(bucket -> bucket.heads().count());
        List<Long> kvWidths = widths(bucket -> 2 * bucket.kvUsed().count());
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
        attendedParts = rowsOf(attended, placements);
        Tensor back = builder.arrival("attended of own tokens", own * sum(queryWidths));
        returned = messages(back.reshape(own, sum(queryWidths)), queryWidths);
        merged = builder.activation("merged heads", builder.dtype(), own, sum(queryWidths));
    }

    private List<Long> widths(ToLongFunction<Bucket> heads) {
        return buckets.stream()
                .map(bucket -> heads.applyAsLong(bucket) * headDim)
                .toList();
    }

    private static long sum(List<Long> values) {
        return values.stream().mapToLong(Long::longValue).sum();
    }

    /** Cuts a buffer into dense matrices [rows, width i], one for each peer. */
    private static List<Tensor> messages(Tensor buffer, List<Long> widths) {
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

    private static List<Tensor> rowsOf(Tensor tensor, List<TokenPlacement> placements) {
        List<Tensor> parts = new ArrayList<>();
        long first = 0;
        for (TokenPlacement placement : placements) {
            parts.add(tensor.rows(first, placement.rows()));
            first += placement.rows();
        }
        return parts;
    }

    @Override
    public void forward(int layer, AttentionShard.Weights weights, Block.@Nullable HeadNorms headNorms) {
        block.projectQueries(normed, weights, headNorms, ownQueries);
        block.projectKeysAndValues(normed, weights, headNorms, ownKeysAndValues);
        for (int i = 0; i < buckets.size(); i++) {
            Range heads = buckets.get(i).heads();
            Range kv = buckets.get(i).kvUsed();
            long kvWidth = kv.count() * headDim;
            long values = ownKeysAndValues.dim(1) / 2;
            copy(ownQueries, heads.from() * headDim, queriesToSend.get(i), 0, heads.count() * headDim);
            copy(ownKeysAndValues, kv.from() * headDim, kvToSend.get(i), 0, kvWidth);
            copy(ownKeysAndValues, values + kv.from() * headDim, kvToSend.get(i), kvWidth, kvWidth);
        }
        exchange(queriesToSend, queryParts);
        exchange(kvToSend, kvParts);
        block.attend(layer, queries, keysAndValues, tokens, attended);
        exchange(attendedParts, returned);
        long column = 0;
        for (Tensor part : returned) {
            copy(part, 0, merged, column, part.dim(1));
            column += part.dim(1);
        }
        block.output(merged, weights, y, false);
    }

    private void exchange(List<Tensor> send, List<Tensor> receive) {
        if (group.size() == 1) {
            program.compute(new Copy(send.getFirst(), receive.getFirst()));
        } else {
            program.communicate(Lane.KV, new AllToAll(group, self, send, receive));
        }
    }

    private void copy(Tensor source, long fromColumn, Tensor target, long toColumn, long columns) {
        program.compute(new Copy(source.slice(1, fromColumn, columns), target.slice(1, toColumn, columns)));
    }
}
