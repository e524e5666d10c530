package io.tsp.scheme.tsp;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.model.WeightNames;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The embedding table and the output projection under tsp. Untied, the table is sharded by hidden columns: each rank
 * looks all tokens of the group up in its columns and sends each owner its rows. Tied, the one table is sharded by
 * vocabulary and travels, once for the embedding and once for the logits.
 */
final class TspEmbedding {
    final RankBuilder builder;
    final Group group;
    final int self;
    final List<Range> vocabularies;
    final WeightRing ring;
    /** Of the rank's own tokens if the table is tied, else of all tokens of the group. */
    final Tensor ids;

    private final ProgramBuilder program;
    private final List<TokenPlacement> placements;
    private final List<Range> columns;
    private final @Nullable Tensor found;
    private final Tensor exchanged;

    TspEmbedding(RankBuilder builder, Group group, List<TokenPlacement> placements) {
        this.builder = builder;
        this.program = builder.program();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.placements = placements;
        vocabularies = IntStream.range(0, group.size())
                .mapToObj(i -> Range.part(builder.config().vocab(), group.size(), i))
                .toList();
        columns = IntStream.range(0, group.size())
                .mapToObj(i -> Range.part(hidden(), group.size(), i))
                .toList();
        ring = new WeightRing(
                builder,
                "vocabulary shard",
                group,
                vocabularies.stream().map(range -> range.count() * hidden()).toList());
        boolean tied = builder.config().tiedEmbeddings();
        ids = builder.tokenInput(TokenKind.IDS, tied ? List.of(builder.tokens()) : placements);
        found = tied
                ? null
                : builder.activation(
                        "embedding columns",
                        builder.dtype(),
                        ids.count(),
                        columns.get(self).count());
        exchanged = builder.arrival(
                "embeddings", tied || group.size() == 1 ? 0 : builder.tokens().rows() * hidden());
    }

    long hidden() {
        return builder.config().hidden();
    }

    /** Rows of the largest vocabulary shard. */
    long largestShard() {
        return vocabularies.stream().mapToLong(Range::count).max().orElse(0);
    }

    /** This rank's rows of the output projection, one dimension. */
    Tensor headShard() {
        Tensor shard = builder.weights()
                .matrix(WeightNames.head(builder.config()), vocabularies.get(self), new Range(0, hidden()));
        return shard.reshape(shard.count());
    }

    /** The rank's columns of the table where it is not tied, [V, columns]. */
    Tensor tableColumns() {
        return builder.weights()
                .matrix(WeightNames.EMBEDDING, new Range(0, builder.config().vocab()), columns.get(self));
    }

    Range ownColumns() {
        return columns.get(self);
    }

    /** Fills x [T, h] with the embeddings of the rank's own tokens. */
    void embed(Tensor x) {
        if (found == null) {
            travelHead(
                    "embedding",
                    (weight, vocab, first) -> program.compute(new Embedding(weight, ids, x, vocab.from(), !first)));
            return;
        }
        program.compute(new Embedding(tableColumns(), ids, found, 0, false));
        if (group.size() == 1) {
            program.compute(new Copy(found, x));
            return;
        }
        List<Tensor> messages = messages();
        program.communicate(Lane.KV, new AllToAll(group, self, rowsOfPeers(found), messages));
        for (int i = 0; i < group.size(); i++) {
            program.compute(new Copy(messages.get(i), columns(x, i)));
        }
    }

    /** The way back: columns of dX [T, h] go to their owners; all tokens' rows of the own columns are returned. */
    Tensor returnColumns(Tensor dX) {
        if (found == null) {
            throw new IllegalStateException("a tied table is not sharded by columns");
        }
        if (group.size() == 1) {
            return dX;
        }
        List<Tensor> messages = messages();
        for (int i = 0; i < group.size(); i++) {
            program.compute(new Copy(columns(dX, i), messages.get(i)));
        }
        program.communicate(Lane.KV, new AllToAll(group, self, messages, rowsOfPeers(found)));
        return found;
    }

    private Tensor columns(Tensor x, int i) {
        return x.slice(1, columns.get(i).from(), columns.get(i).count());
    }

    /** Own tokens' rows of each peer's columns, dense. */
    private List<Tensor> messages() {
        long rows = builder.tokens().rows();
        return columns.stream()
                .map(part ->
                        exchanged.rows(part.from() * rows, part.count() * rows).reshape(rows, part.count()))
                .toList();
    }

    /** Each peer's tokens in the rank's own columns. */
    private List<Tensor> rowsOfPeers(Tensor all) {
        List<Tensor> parts = new ArrayList<>();
        long firstRow = 0;
        for (TokenPlacement placement : placements) {
            parts.add(all.rows(firstRow, placement.rows()));
            firstRow += placement.rows();
        }
        return parts;
    }

    /** Something to do with a vocabulary shard, weight [rows, h]. */
    interface Work {
        void on(Tensor weight, Range vocab, boolean first);
    }

    /** The output projection's shards, one after the other. */
    void travelHead(String label, Work work) {
        ring.travel(headShard(), label + " shard", (shard, hop, weights) -> {
            Range vocab = vocabularies.get(shard);
            work.on(weights.reshape(vocab.count(), hidden()), vocab, hop == 0);
        });
    }
}
