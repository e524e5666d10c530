package io.tsp.scheme.gathered;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.model.AttentionShard;
import io.tsp.model.MlpShard;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter;
import io.tsp.model.WeightNames;
import io.tsp.op.Panels;
import io.tsp.scheme.RankBuilder;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * The weights of the folded layout where every linear is gathered whole before it is used (ZeRO-3, arXiv 1910.02054;
 * FSDP, arXiv 2304.11277): each rank stores an equal run of every weight's rows or panels. Biases and norms are on every
 * rank.
 */
final class GatheredWeights {
    final RankBuilder builder;
    final ModelConfig config;
    final Group group;
    final int self;
    private final ShardedWeight q;
    private final ShardedWeight kv;
    private final ShardedWeight out;
    private final ShardedWeight gateUp;
    private final ShardedWeight down;
    private final ShardedWeight table;

    GatheredWeights(RankBuilder builder, Group group) {
        this.builder = builder;
        this.config = builder.config();
        this.group = group;
        this.self = group.indexOf(builder.program().rank());
        q = sharded("q", i -> part(qRows(), i).count() * config.hidden());
        kv = sharded("k and v", i -> part(2 * kvRows(), i).count() * config.hidden());
        out = sharded("o", i -> part(config.hidden(), i).count() * qRows());
        gateUp = sharded("gate and up", i -> Panels.gateUpCount(features(i).count(), config.hidden()));
        down = sharded(
                "down",
                i -> Panels.downCount(config.intermediate(), panelRows(i).count()));
        table = sharded("vocabulary", i -> part(config.vocab(), i).count() * config.hidden());
    }

    private ShardedWeight sharded(String name, IntFunction<Long> count) {
        return new ShardedWeight(
                builder,
                name,
                group,
                IntStream.range(0, group.size()).mapToObj(count).toList());
    }

    Range part(long rows, int index) {
        return Range.part(rows, group.size(), index);
    }

    Range features(int index) {
        return Range.part(config.intermediate(), Panels.FEATURES, group.size(), index);
    }

    Range panelRows(int index) {
        return Range.part(config.hidden(), Panels.COLUMNS, group.size(), index);
    }

    long qRows() {
        return (long) config.heads() * config.headDim();
    }

    long kvRows() {
        return (long) config.kvHeads() * config.headDim();
    }

    /** Projections of all heads of a layer, gathered. */
    AttentionShard.Weights attention(int layer) {
        Tensor qShard = builder.weights().matrix(WeightNames.attention(layer, "q_proj"), part(qRows(), self), hidden());
        Tensor outShard = builder.weights()
                .matrix(WeightNames.attention(layer, "o_proj"), part(config.hidden(), self), new Range(0, qRows()));
        Range kv = part(2 * kvRows(), self);
        Tensor kvShard = builder.weights()
                .buffer(
                        "layer " + layer + " k and v weights",
                        kv.count() * config.hidden(),
                        buffer -> kvParts(layer, buffer));
        Tensor wholeQ = q.gather(flat(qShard)).reshape(qRows(), config.hidden());
        Tensor wholeKv = this.kv.gather(kvShard).reshape(2 * kvRows(), config.hidden());
        Tensor wholeOut = out.gather(flat(outShard)).reshape(config.hidden(), qRows());
        if (!config.qkvBias()) {
            return new AttentionShard.Weights(wholeQ, wholeKv, wholeOut, null, null);
        }
        Tensor qBias = builder.weights().vector(WeightNames.bias(layer, "q_proj"), qRows());
        Tensor kvBias = builder.weights()
                .buffer("layer " + layer + " k and v bias", 2 * kvRows(), buffer -> kvBiasParts(layer, buffer));
        return new AttentionShard.Weights(wholeQ, wholeKv, wholeOut, qBias, kvBias);
    }

    private Range hidden() {
        return new Range(0, config.hidden());
    }

    /** What this rank's rows of [K; V] are, which are two tensors in the model's files. */
    List<Parameter> kvParts(int layer, Tensor buffer) {
        Range rows = part(2 * kvRows(), self);
        return keysAndValues(
                buffer.reshape(rows.count(), config.hidden()),
                rows,
                hidden(),
                WeightNames.attention(layer, "k_proj"),
                WeightNames.attention(layer, "v_proj"));
    }

    /** What the biases of [K; V], whole on every rank, are. */
    List<Parameter> kvBiasParts(int layer, Tensor buffer) {
        return keysAndValues(
                buffer,
                new Range(0, 2 * kvRows()),
                new Range(0, 1),
                WeightNames.bias(layer, "k_proj"),
                WeightNames.bias(layer, "v_proj"));
    }

    private List<Parameter> keysAndValues(Tensor target, Range rows, Range columns, String keys, String values) {
        long border = kvRows();
        Range k = new Range(Math.min(rows.from(), border), Math.min(rows.to(), border));
        Range v = new Range(Math.max(rows.from(), border) - border, Math.max(rows.to(), border) - border);
        List<Parameter> parameters = new ArrayList<>();
        parameters.add(new Parameter(target.rows(0, k.count()), new Parameter.Block(keys, k, columns)));
        parameters.add(new Parameter(target.rows(k.count(), v.count()), new Parameter.Block(values, v, columns)));
        return parameters;
    }

    /** All features of a layer's MLP, gathered. */
    MlpShard.Weights mlp(int layer) {
        Range features = features(self);
        Range rows = panelRows(self);
        Tensor gateUpShard = builder.weights()
                .buffer(
                        "layer " + layer + " gate and up weights",
                        Panels.gateUpCount(features.count(), config.hidden()),
                        buffer -> List.of(new Parameter(
                                buffer,
                                new Parameter.GateUpPanels(
                                        WeightNames.mlp(layer, "gate_proj"),
                                        WeightNames.mlp(layer, "up_proj"),
                                        features,
                                        hidden()))));
        Tensor downShard = builder.weights()
                .buffer(
                        "layer " + layer + " down weights",
                        Panels.downCount(config.intermediate(), rows.count()),
                        buffer -> List.of(new Parameter(
                                buffer,
                                new Parameter.Panels(
                                        WeightNames.mlp(layer, "down_proj"),
                                        rows,
                                        new Range(0, config.intermediate())))));
        return new MlpShard.Weights(
                gateUp.gather(gateUpShard), down.gather(downShard), Panels.pad(config.intermediate()));
    }

    /** This rank's rows of the embedding table or of the output projection. */
    Tensor vocabularyShard(String name) {
        return builder.weights().matrix(name, part(config.vocab(), self), hidden());
    }

    /** The table whole, [V, h]. */
    Tensor vocabulary(Tensor shard) {
        return table.gather(flat(shard)).reshape(config.vocab(), config.hidden());
    }

    private static Tensor flat(Tensor tensor) {
        return tensor.reshape(tensor.count());
    }
}
