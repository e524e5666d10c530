package io.tsp.scheme.tsp;

import io.tsp.mesh.Range;
import io.tsp.model.WeightNames;
import io.tsp.op.TrainingOp.EmbeddingBackward;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.LossHead;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.tensor.Tensor;

/**
 * The gradients of {@link TspEmbedding}: vocabulary shards travel once more with their gradients, and columns of the
 * embeddings' gradient go back to the columns' owners, where nothing has to be reduced. The gradient of a tied table is
 * summed in one place.
 */
final class TspEmbeddingBackward {
    private final TspEmbedding forward;
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final Sharing sharing;
    private final GradientRing ring;

    TspEmbeddingBackward(TspEmbedding forward, Sharing sharing) {
        this.forward = forward;
        this.builder = forward.builder;
        this.program = builder.program();
        this.sharing = sharing;
        ring = new GradientRing(
                builder,
                "gradient of vocabulary shard",
                forward.group,
                forward.vocabularies.stream()
                        .map(range -> range.count() * forward.hidden())
                        .toList());
    }

    private Tensor headGradient() {
        Tensor gradient = builder.weights()
                .matrixGradient(
                        WeightNames.head(builder.config()),
                        forward.vocabularies.get(forward.self),
                        new Range(0, forward.hidden()),
                        sharing);
        return gradient.reshape(gradient.count());
    }

    private Tensor rows(Tensor gradient, Range vocab) {
        return gradient.reshape(vocab.count(), forward.hidden());
    }

    /** dNormed f32 [T, h] = the gradient through the output projection and the cross-entropy. */
    void loss(LossHead head, Tensor dNormed) {
        Tensor own = headGradient();
        forward.ring.travel(forward.headShard(), "loss backward shard", (shard, hop, weights) -> {
            Range vocab = forward.vocabularies.get(shard);
            head.backward(
                    rows(weights, vocab),
                    vocab,
                    dNormed,
                    hop == 0,
                    rows(ring.at(hop, own), vocab),
                    GradientRing.accumulates(hop, builder.accumulates()));
            ring.pass(hop, own);
        });
    }

    /** From the gradient of the embeddings, [T, h], to the table. */
    void embed(Tensor dX) {
        if (!builder.config().tiedEmbeddings()) {
            Range all = new Range(0, builder.config().vocab());
            Tensor gradient =
                    builder.weights().matrixGradient(WeightNames.EMBEDDING, all, forward.ownColumns(), sharing);
            program.compute(
                    new EmbeddingBackward(forward.returnColumns(dX), forward.ids, gradient, 0, builder.accumulates()));
            return;
        }
        Tensor own = headGradient();
        for (int hop = 0; hop < forward.group.size(); hop++) {
            Range vocab = forward.vocabularies.get(Math.floorMod(forward.self - hop, forward.group.size()));
            program.label("embedding backward shard");
            program.compute(new EmbeddingBackward(
                    dX,
                    forward.ids,
                    rows(ring.at(hop, own), vocab),
                    vocab.from(),
                    GradientRing.accumulates(hop, true)));
            ring.pass(hop, own);
        }
    }
}
