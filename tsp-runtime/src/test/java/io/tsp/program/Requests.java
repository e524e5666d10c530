package io.tsp.program;

import io.tsp.model.ModelConfig;
import io.tsp.model.RopeConfig;
import io.tsp.scheme.ForwardRequest;
import io.tsp.tensor.DType;

/** Models that are just large enough to have uneven shards. */
final class Requests {
    /** 2 layers, 4 query and 2 key/value heads of 8, sizes that no degree above 1 divides. */
    static final ModelConfig PLAIN = config(false, false, false);
    /** The same with biases, head norms and tied embeddings. */
    static final ModelConfig FULL = config(true, true, true);

    private Requests() {}

    private static ModelConfig config(boolean bias, boolean headNorms, boolean tied) {
        return new ModelConfig(
                "llama",
                33,
                97,
                2,
                4,
                2,
                8,
                29,
                1e-5f,
                512,
                bias,
                headNorms,
                tied,
                0,
                0,
                new RopeConfig(10_000, new RopeConfig.None()));
    }

    static ForwardRequest of(ModelConfig config, long batch, long seq) {
        return new ForwardRequest(config, DType.F32, batch, seq, false, true);
    }

    /** PLAIN on one sequence of 13 tokens, without logits. */
    static ForwardRequest plain() {
        return new ForwardRequest(PLAIN, DType.F32, 1, 13, false, false);
    }
}
