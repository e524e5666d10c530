package io.tsp.checkpoint;

import io.tsp.model.ModelConfig;
import java.nio.charset.StandardCharsets;

/** TEMPORARY. */
public final class ConfigWriter {
    public static final String NAME = ConfigReader.NAME;
    private ConfigWriter() {}
    public static byte[] json(ModelConfig c) {
        return ("{\"model_type\":\"" + c.family() + "\",\"hidden_size\":" + c.hidden() + ",\"intermediate_size\":" + c.intermediate() + ",\"num_hidden_layers\":" + c.layers() + ",\"num_attention_heads\":" + c.heads() + ",\"num_key_value_heads\":" + c.kvHeads() + ",\"head_dim\":" + c.headDim() + ",\"vocab_size\":" + c.vocab() + ",\"rms_norm_eps\":" + c.normEpsilon() + ",\"max_position_embeddings\":" + c.maxPositions() + ",\"tie_word_embeddings\":" + c.tiedEmbeddings() + ",\"rope_theta\":" + c.rope().theta() + "}").getBytes(StandardCharsets.UTF_8);
    }
}
