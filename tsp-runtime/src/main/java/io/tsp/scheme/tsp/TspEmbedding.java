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
import io.tsp.scheme.ForwardBuilder;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;

/**
 * The embedding table and the output projection under tsp. Untied, the table is sharded by hidden columns: each rank
 * looks all tokens of the group up in its columns and sends each owner its rows. Tied, the one table is sharded by
 * vocabulary and travels, once for the embedding and once for the logits.
 */
final class TspEmbedding {
    private final ForwardBuilder builder;
    private final ProgramBuilder program;
    private final Group group;
    private final int self;
    private final List<TokenPlacement> placements;
    private final List<Range> vocabularies;
    private final Tensor vocabularyShard;
    private final WeightRing ring;

    TspEmbedding(ForwardBuilder builder, Group group, List<TokenPlacement> placements) {
        this.builder = builder;
        this.program = builder.program();
        this.group = group;
        this.self = group.indexOf(program.rank());
        this.placements = placements;
        vocabularies = TspScheme.vocabularies(builder, group);
        vocabularyShard =
                builder.parameter(WeightNames.head(builder.config()), vocabularies.get(self), new Range(0, hidden()));
        ring = new WeightRing(
                builder,
                "vocabulary shard",
                group,
                vocabularies.stream().map(range -> range.count() * hidden()).toList());
    }

    private long hidden() {
        return builder.config().hidden();
    }

    /** Rows of the largest vocabulary shard. */
    long largestShard() {
        return vocabularies.stream().mapToLong(Range::count).max().orElse(0);
    }

    /** Embeddings of the rank's own tokens, [T, h]. */
    Tensor embed() {
        Tensor x = builder.activation(
                "x", builder.dtype(), builder.tokens().rows(), builder.config().hidden());
        if (builder.config().tiedEmbeddings()) {
            Tensor ids = builder.tokenInput(TokenKind.IDS, List.of(builder.tokens()));
            travel(
                    "embedding",
                    (weight, vocab, first) -> program.compute(new Embedding(weight, ids, x, vocab.from(), !first)));
        } else {
            embedByColumns(x);
        }
        return x;
    }

    /** The output projection's shards, one after the other: weight [rows, h] and which rows. */
    void travelHead(BiConsumer<Tensor, Range> work) {
        travel("loss", (weight, vocab, first) -> work.accept(weight, vocab));
    }

    private interface Work {
        void on(Tensor weight, Range vocab, boolean first);
    }

    private void travel(String label, Work work) {
        ring.travel(vocabularyShard.reshape(vocabularyShard.count()), label + " shard", (shard, hop, weights) -> {
            Range vocab = vocabularies.get(shard);
            work.on(weights.reshape(vocab.count(), hidden()), vocab, hop == 0);
        });
    }

    private void embedByColumns(Tensor x) {
        List<Range> columns = IntStream.range(0, group.size())
                .mapToObj(i -> Range.part(hidden(), group.size(), i))
                .toList();
        Tensor table = builder.parameter(
                WeightNames.EMBEDDING, new Range(0, builder.config().vocab()), columns.get(self));
        Tensor ids = builder.tokenInput(TokenKind.IDS, placements);
        Tensor found = builder.activation(
                "embedding columns",
                builder.dtype(),
                ids.count(),
                columns.get(self).count());
        program.compute(new Embedding(table, ids, found, 0, false));
        Tensor received = builder.arrival("embeddings", x.count());
        List<Tensor> send = new ArrayList<>();
        List<Tensor> receive = new ArrayList<>();
        long firstRow = 0;
        for (int i = 0; i < group.size(); i++) {
            long rows = placements.get(i).rows();
            send.add(found.rows(firstRow, rows));
            firstRow += rows;
            receive.add(received.rows(
                    columns.get(i).from() * x.dim(0), columns.get(i).count() * x.dim(0)));
        }
        if (group.size() > 1) {
            program.communicate(Lane.KV, new AllToAll(group, self, send, receive));
        }
        for (int i = 0; i < group.size(); i++) {
            Range part = columns.get(i);
            Tensor source = group.size() > 1 ? receive.get(i).reshape(x.dim(0), part.count()) : found;
            program.compute(new Copy(source, x.slice(1, part.from(), part.count())));
        }
    }
}
