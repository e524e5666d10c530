package io.tsp.model;

/** Hugging Face names of the weights of Llama-like models. */
public final class WeightNames {
    public static final String EMBEDDING = "model.embed_tokens.weight";
    public static final String FINAL_NORM = "model.norm.weight";

    private static final String HEAD = "lm_head.weight";

    private WeightNames() {}

    /** The output projection: the embedding table itself if they are tied. */
    public static String head(ModelConfig config) {
        return config.tiedEmbeddings() ? EMBEDDING : HEAD;
    }

    public static String inputNorm(int layer) {
        return layer(layer, "input_layernorm");
    }

    public static String postAttentionNorm(int layer) {
        return layer(layer, "post_attention_layernorm");
    }

    /**
     * A weight of the attention sub-layer.
     *
     * @param module q_proj, k_proj, v_proj, o_proj, q_norm or k_norm
     */
    public static String attention(int layer, String module) {
        return layer(layer, "self_attn." + module);
    }

    /**
     * A bias of the attention sub-layer.
     *
     * @param module q_proj, k_proj or v_proj
     */
    public static String bias(int layer, String module) {
        return "model.layers." + layer + ".self_attn." + module + ".bias";
    }

    /**
     * A weight of the MLP.
     *
     * @param module gate_proj, up_proj or down_proj
     */
    public static String mlp(int layer, String module) {
        return layer(layer, "mlp." + module);
    }

    private static String layer(int layer, String module) {
        return "model.layers." + layer + "." + module + ".weight";
    }
}
