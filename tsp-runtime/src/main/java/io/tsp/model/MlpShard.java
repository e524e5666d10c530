package io.tsp.model;

import io.tsp.mesh.Range;
import io.tsp.op.Panels;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * The MLP weights of some intermediate features, packed in panels and into one buffer that travels in one message:
 * [gate/up | down].
 *
 * @param features a range that begins at a multiple of {@link Panels#FEATURES}
 */
public record MlpShard(ModelConfig config, Range features) {

    /** The shard of one of degree ranks: whole panels, nearly equal. */
    public static MlpShard of(ModelConfig config, int degree, int index) {
        return new MlpShard(config, Range.part(config.intermediate(), Panels.FEATURES, degree, index));
    }

    /**
     * Packed matrices.
     *
     * @param gateUp gate and up, interleaved panels
     * @param down panels
     * @param intermediate features, padded to whole panels
     */
    public record Weights(Tensor gateUp, Tensor down, long intermediate) {}

    private long gateUpCount() {
        return Panels.gateUpCount(features.count(), config.hidden());
    }

    /** Elements of the packed buffer. */
    public long count() {
        return gateUpCount() + Panels.downCount(features.count(), config.hidden());
    }

    /** The matrices inside a packed buffer of at least {@link #count} elements. */
    public Weights view(Tensor packed) {
        return new Weights(
                packed.rows(0, gateUpCount()),
                packed.rows(gateUpCount(), count() - gateUpCount()),
                Panels.pad(features.count()));
    }

    /** What fills a layer's packed buffer. */
    public List<Parameter> parameters(int layer, Tensor packed) {
        Weights weights = view(packed);
        Range all = new Range(0, config.hidden());
        return List.of(
                new Parameter(
                        weights.gateUp(),
                        new Parameter.GateUpPanels(
                                WeightNames.mlp(layer, "gate_proj"), WeightNames.mlp(layer, "up_proj"), features, all)),
                new Parameter(
                        weights.down(), new Parameter.Panels(WeightNames.mlp(layer, "down_proj"), all, features)));
    }
}
