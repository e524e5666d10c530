package io.tsp.model;

import io.tsp.tensor.Shape;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/**
 * The tensors that a model consists of: Hugging Face name to shape, in the order in which transformers lists them. A
 * matrix is [output features, input features]. A tied output projection ({@code lm_head.weight}) is not listed: it is
 * {@code model.embed_tokens.weight}.
 */
public final class WeightShapes {
    /** The output projection where it is not tied; tied models may have it in their files all the same. */
    public static final String OUTPUT_PROJECTION = "lm_head.weight";

    private WeightShapes() {}

    /** Every tensor of the model, unmodifiable. */
    public static SequencedMap<String, Shape> of(ModelConfig config) {
        SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
        shapes.put(WeightNames.EMBEDDING, Shape.of(config.vocab(), config.hidden()));
        for (int layer = 0; layer < config.layers(); layer++) {
            addBlock(shapes, layer, config);
        }
        shapes.put(WeightNames.FINAL_NORM, Shape.of(config.hidden()));
        if (!config.tiedEmbeddings()) {
            shapes.put(OUTPUT_PROJECTION, Shape.of(config.vocab(), config.hidden()));
        }
        return Collections.unmodifiableSequencedMap(shapes);
    }

    private static void addBlock(SequencedMap<String, Shape> shapes, int layer, ModelConfig config) {
        long hidden = config.hidden();
        long intermediate = config.intermediate();
        long query = (long) config.heads() * config.headDim();
        long keyValue = (long) config.kvHeads() * config.headDim();
        shapes.put(WeightNames.inputNorm(layer), Shape.of(hidden));
        shapes.put(WeightNames.attention(layer, "q_proj"), Shape.of(query, hidden));
        shapes.put(WeightNames.attention(layer, "k_proj"), Shape.of(keyValue, hidden));
        shapes.put(WeightNames.attention(layer, "v_proj"), Shape.of(keyValue, hidden));
        shapes.put(WeightNames.attention(layer, "o_proj"), Shape.of(hidden, query));
        if (config.qkvBias()) {
            shapes.put(WeightNames.bias(layer, "q_proj"), Shape.of(query));
            shapes.put(WeightNames.bias(layer, "k_proj"), Shape.of(keyValue));
            shapes.put(WeightNames.bias(layer, "v_proj"), Shape.of(keyValue));
        }
        if (config.qkNorm()) {
            shapes.put(WeightNames.attention(layer, "q_norm"), Shape.of(config.headDim()));
            shapes.put(WeightNames.attention(layer, "k_norm"), Shape.of(config.headDim()));
        }
        shapes.put(WeightNames.postAttentionNorm(layer), Shape.of(hidden));
        shapes.put(WeightNames.mlp(layer, "gate_proj"), Shape.of(intermediate, hidden));
        shapes.put(WeightNames.mlp(layer, "up_proj"), Shape.of(intermediate, hidden));
        shapes.put(WeightNames.mlp(layer, "down_proj"), Shape.of(hidden, intermediate));
    }
}
