package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.model.AttentionGradients;
import io.tsp.model.MlpGradients;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter;
import io.tsp.model.WeightNames;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.TrainingOp.Sum;
import io.tsp.program.Lane;
import io.tsp.scheme.RankBuilder;
import io.tsp.scheme.RankWeights.Sharing;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of {@link GatheredWeights}: every rank computes those of a whole weight from its own tokens, and they are
 * reduce-scattered to the ranks that hold the weight's rows.
 */
final class GatheredGradients {
    private final GatheredWeights weights;
    private final RankBuilder builder;
    private final ModelConfig config;
    private final Group group;
    private final int self;
    private final Sharing shards;
    private final Sharing whole;

    /**
     * @param shards who shares the gradients of this rank's rows
     * @param whole who shares those of what every rank holds
     */
    GatheredGradients(GatheredWeights weights, Sharing shards, Sharing whole) {
        this.weights = weights;
        this.builder = weights.builder;
        this.config = weights.config;
        this.group = weights.group;
        this.self = weights.self;
        this.shards = shards;
        this.whole = whole;
    }

    /** Where this rank's gradients of a whole weight go; the same for every layer. */
    private Tensor partial(String name, long rows, long columns) {
        return builder.partial("partial gradient of " + name, rows * columns).reshape(rows, columns);
    }

    AttentionGradients.Queries queries(int layer) {
        Tensor bias = config.qkvBias()
                ? builder.weights().vectorGradient(WeightNames.bias(layer, "q_proj"), weights.qRows(), whole)
                : null;
        return new AttentionGradients.Queries(
                partial("q", weights.qRows(), config.hidden()),
                partial("o", config.hidden(), weights.qRows()),
                bias,
                false,
                builder.accumulates());
    }

    AttentionGradients.KeysAndValues keysAndValues(int layer) {
        Tensor bias = config.qkvBias()
                ? builder.weights()
                        .gradient(
                                "layer " + layer + " k and v bias",
                                2 * weights.kvRows(),
                                whole,
                                buffer -> weights.kvBiasParts(layer, buffer))
                        .buffer()
                : null;
        return new AttentionGradients.KeysAndValues(
                partial("k and v", 2 * weights.kvRows(), config.hidden()), bias, false, builder.accumulates());
    }

    MlpGradients.Views mlp() {
        return new MlpGradients.Views(
                partial("gate", config.intermediate(), config.hidden()),
                partial("up", config.intermediate(), config.hidden()),
                partial("down", config.hidden(), config.intermediate()));
    }

    /** [V, h], of the table or of the output projection. */
    Tensor vocabulary(String name) {
        return partial(name, config.vocab(), config.hidden());
    }

    void reduceAttention(int layer) {
        reduce(queries(layer).q(), i -> weights.part(weights.qRows(), i), WeightNames.attention(layer, "q_proj"), null);
        reduce(
                keysAndValues(layer).kv(),
                i -> weights.part(2 * weights.kvRows(), i),
                "layer " + layer + " k and v weights",
                buffer -> weights.kvParts(layer, buffer));
        reduce(
                queries(layer).out(),
                i -> weights.part(config.hidden(), i),
                WeightNames.attention(layer, "o_proj"),
                null);
    }

    void reduceMlp(int layer) {
        MlpGradients.Views views = mlp();
        reduce(views.gate(), weights::features, WeightNames.mlp(layer, "gate_proj"), null);
        reduce(views.up(), weights::features, WeightNames.mlp(layer, "up_proj"), null);
        reduce(views.down(), weights::panelRows, WeightNames.mlp(layer, "down_proj"), null);
    }

    /** @param accumulate whether the gradient has something in it already */
    void reduceVocabulary(String name, boolean accumulate) {
        reduce(vocabulary(name), i -> weights.part(config.vocab(), i), name, null, accumulate);
    }

    private void reduce(
            Tensor partial,
            Function<Integer, Range> rows,
            String name,
            @Nullable Function<Tensor, List<Parameter>> parts) {
        reduce(partial, rows, name, parts, builder.accumulates());
    }

    /**
     * Sums a whole weight's gradient over the group; this rank's rows of it join its gradient.
     *
     * @param rows rows of each rank's shard
     * @param parts what the shard's gradient is, if not a block of the tensor of this name
     */
    private void reduce(
            Tensor partial,
            Function<Integer, Range> rows,
            String name,
            @Nullable Function<Tensor, List<Parameter>> parts,
            boolean accumulate) {
        List<Tensor> each = IntStream.range(0, group.size())
                .mapToObj(i -> partial.rows(rows.apply(i).from(), rows.apply(i).count()))
                .toList();
        builder.program().communicate(Lane.GRADS, new ReduceScatter(group, self, each));
        Range own = rows.apply(self);
        Function<Tensor, List<Parameter>> meaning = parts != null
                ? parts
                : buffer -> List.of(new Parameter(
                        buffer.reshape(own.count(), partial.dim(1)),
                        new Parameter.Block(name, own, new Range(0, partial.dim(1)))));
        Tensor gradient = builder.weights()
                .gradient(name, own.count() * partial.dim(1), shards, meaning)
                .buffer();
        Tensor mine = each.get(self).reshape(gradient.count());
        builder.program().compute(accumulate ? new Sum(List.of(gradient, mine), gradient) : new Copy(mine, gradient));
    }
}
