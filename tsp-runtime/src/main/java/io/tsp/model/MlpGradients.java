package io.tsp.model;

import io.tsp.mesh.Range;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * The gradients of a gated MLP's weights for some features, f32, in one buffer and in Hugging Face's layout: they come
 * out of plain matrix products, and the optimizer keeps its state in the same order.
 */
public record MlpGradients(ModelConfig config, Range features) {

    /** Gradients of Wg [f, h], Wu [f, h], Wd [h, f]. */
    public record Views(Tensor gate, Tensor up, Tensor down) {}

    /** Elements of the buffer. */
    public long count() {
        return 3 * features.count() * config.hidden();
    }

    /** The gradients inside a buffer of {@link #count} elements. */
    public Views view(Tensor buffer) {
        long rows = features.count();
        long matrix = rows * config.hidden();
        return new Views(
                buffer.rows(0, matrix).reshape(rows, config.hidden()),
                buffer.rows(matrix, matrix).reshape(rows, config.hidden()),
                buffer.rows(2 * matrix, matrix).reshape(config.hidden(), rows));
    }

    /** Which weights of a layer the parts of the buffer belong to. */
    public List<Parameter> parts(int layer, Tensor buffer) {
        Views views = view(buffer);
        Range all = new Range(0, config.hidden());
        return List.of(
                new Parameter(views.gate(), new Parameter.Block(WeightNames.mlp(layer, "gate_proj"), features, all)),
                new Parameter(views.up(), new Parameter.Block(WeightNames.mlp(layer, "up_proj"), features, all)),
                new Parameter(views.down(), new Parameter.Block(WeightNames.mlp(layer, "down_proj"), all, features)));
    }
}
