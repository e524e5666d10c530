package io.tsp.model;

import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.RmsNorm;
import io.tsp.op.ComputeOp.Rope;
import io.tsp.program.ProgramBuilder;
import io.tsp.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The mathematics of one transformer block on one device, written as ops: what every scheme composes, whatever part of
 * the heads, features and tokens it holds. T token rows, h hidden size, d head dimension; n query heads, m key/value
 * heads of the weights at hand.
 *
 * <p>Reading order: before this {@link ModelConfig}; next {@code Mesh} and {@code Zigzag}, then {@code TspAttention}.
 */
public final class Block {
    private final ProgramBuilder program;
    private final ModelConfig config;
    private final Rotary rotary;

    /**
     * Rotary inputs of the rank's own tokens.
     *
     * @param positions i32 [T], restarting with each document
     * @param inverseFrequencies f32 [d / 2]
     * @param attentionScale factor of cosine and sine
     */
    public record Rotary(Tensor positions, Tensor inverseFrequencies, float attentionScale) {}

    /** Weights of the per-head norms [d], for models that have them. */
    public record HeadNorms(Tensor q, Tensor k) {}

    /**
     * The tokens of one attention launch.
     *
     * @param queries where the rank's queries stand in its rows and in the sequence
     * @param keys where keys and values stand in the buffer's rows and in the sequence, ascending
     * @param batch sequences
     * @param kvStart i32 [T]: first visible key of each query, for packed documents
     */
    public record Tokens(
            List<Chunk> queries,
            List<Chunk> keys,
            long batch,
            @Nullable Tensor kvStart) {}

    public Block(ProgramBuilder program, ModelConfig config, Rotary rotary) {
        this.program = program;
        this.config = config;
        this.rotary = rotary;
    }

    /**
     * sum = x + delta; normed = rms-norm(sum) * weight.
     *
     * @param delta missing before the first sub-layer
     * @param sum may be x; missing if delta is
     */
    public void norm(Tensor x, @Nullable Tensor delta, Tensor weight, @Nullable Tensor sum, Tensor normed) {
        program.compute(new RmsNorm(x, delta, weight, sum, normed, config.normEpsilon()));
    }

    /** q [T, n d] = rope(norm(x WQ^T + b)). */
    public void projectQueries(Tensor x, AttentionShard.Weights weights, @Nullable HeadNorms norms, Tensor q) {
        projectQueries(x, weights, norms, q, null);
    }

    /** @param before where x WQ^T + b is kept, for the backward pass of norms; null if it is not */
    public void projectQueries(
            Tensor x, AttentionShard.Weights weights, @Nullable HeadNorms norms, Tensor q, @Nullable Tensor before) {
        program.compute(new Gemm(x, weights.q(), weights.qBias(), q, false));
        normAndRotate(q, norms == null ? null : norms.q(), before);
    }

    /** kv [T, 2 m d] = keys as queries above, then values x WV^T + b. */
    public void projectKeysAndValues(Tensor x, AttentionShard.Weights weights, @Nullable HeadNorms norms, Tensor kv) {
        projectKeysAndValues(x, weights, norms, kv, null);
    }

    /** @param before where keys are kept before their norm, as above */
    public void projectKeysAndValues(
            Tensor x, AttentionShard.Weights weights, @Nullable HeadNorms norms, Tensor kv, @Nullable Tensor before) {
        program.compute(new Gemm(x, weights.kv(), weights.kvBias(), kv, false));
        normAndRotate(kv.slice(1, 0, kv.dim(1) / 2), norms == null ? null : norms.k(), before);
    }

    private void normAndRotate(Tensor x, @Nullable Tensor norm, @Nullable Tensor before) {
        Tensor heads = heads(x);
        if (norm != null) {
            if (before != null) {
                program.compute(new Copy(x, before));
            }
            program.compute(new RmsNorm(heads, null, norm, null, heads, config.normEpsilon()));
        }
        program.compute(
                new Rope(heads, rotary.positions(), rotary.inverseFrequencies(), rotary.attentionScale(), false));
    }

    /**
     * out [T, n d] = causal attention of q [T, n d] over kv [rows, 2 m d].
     *
     * @param lse f32 [T, n], the log-sum-exp that the backward pass needs; null if it is not wanted
     * @return the launch
     */
    public Attention attend(int layer, Tensor q, Tensor kv, Tokens tokens, Tensor out, @Nullable Tensor lse) {
        Attention attention = attention(layer, q, kv, tokens, out, lse);
        program.compute(attention);
        return attention;
    }

    /** As {@link #attend}, without running it: what the backward pass asks for if out and lse were kept. */
    public Attention attention(int layer, Tensor q, Tensor kv, Tokens tokens, Tensor out, @Nullable Tensor lse) {
        long width = kv.dim(1) / 2;
        return new Attention(
                heads(q),
                heads(kv.slice(1, 0, width)),
                heads(kv.slice(1, width, width)),
                tokens.kvStart(),
                heads(out),
                lse,
                tokens.queries(),
                tokens.keys(),
                tokens.batch(),
                config.window(layer),
                (float) (1 / Math.sqrt(config.headDim())));
    }

    /** y f32 [T, h] (+)= attended [T, n d] WO^T. */
    public void output(Tensor attended, AttentionShard.Weights weights, Tensor y, boolean accumulate) {
        program.compute(new Gemm(attended, weights.out(), null, y, accumulate));
    }

    /**
     * y f32 [T, h] (+)= the gated MLP of the features in weights.
     *
     * @param saved [T, 2 f]: where pre-activations are kept for the backward pass; null if they are not
     */
    public void mlp(Tensor x, MlpShard.Weights weights, Tensor y, @Nullable Tensor saved, boolean accumulate) {
        program.compute(
                new GatedMlp(x, weights.gateUp(), weights.down(), y, saved, weights.intermediate(), accumulate));
    }

    private Tensor heads(Tensor x) {
        return x.reshape(x.dim(0), x.dim(1) / config.headDim(), config.headDim());
    }
}
