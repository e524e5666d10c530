package io.tsp.benchmark.paper;

import io.tsp.model.ModelConfig;
import io.tsp.model.Presets;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;

/** The paper's 7B reference, {@code tsp-7b}, with any number of layers and key/value heads. */
final class Reference {
    static final ModelConfig MODEL = Presets.of("tsp-7b");
    /** The paper's group: one node of 8. */
    static final int DEGREE = 8;

    static final long LONGEST = 131_072;

    private Reference() {}

    static ModelConfig with(int layers, int kvHeads) {
        return new ModelConfig(
                MODEL.family(),
                MODEL.hidden(),
                MODEL.intermediate(),
                layers,
                MODEL.heads(),
                kvHeads,
                MODEL.headDim(),
                MODEL.vocab(),
                MODEL.normEpsilon(),
                MODEL.maxPositions(),
                MODEL.qkvBias(),
                MODEL.qkNorm(),
                MODEL.tiedEmbeddings(),
                MODEL.window(),
                MODEL.windowFromLayer(),
                MODEL.rope());
    }

    /** In bf16, without logits. */
    static ForwardRequest forward(ModelConfig config, long batch, long seq) {
        return new ForwardRequest(config, DType.BF16, batch, seq, false, false);
    }

    /** One microbatch, AdamW with f32 moments, divided between ranks that hold the same weights. */
    static TrainingRequest training(ModelConfig config, long batch, long seq, Recompute recompute) {
        return new TrainingRequest(forward(config, batch, seq), 1, recompute, DType.F32, true, true);
    }

    /** Forward and backward, and no optimizer. */
    static TrainingRequest gradients(ModelConfig config, long batch, long seq, Recompute recompute) {
        return new TrainingRequest(forward(config, batch, seq), 1, recompute, DType.F32, false, false);
    }
}
