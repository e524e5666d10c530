package io.tsp.model;

import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.Gemm.Form;
import io.tsp.op.ComputeOp.Rope;
import io.tsp.op.TrainingOp.AttentionBackward;
import io.tsp.op.TrainingOp.ColumnSum;
import io.tsp.op.TrainingOp.GatedMlpBackward;
import io.tsp.op.TrainingOp.RmsNormBackward;
import io.tsp.program.ProgramBuilder;
import io.tsp.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of what {@link Block} computes, step by step in reverse. A gradient is named after what it is the gradient
 * of. Gradients of activations that products read have the activations' dtype; sums of gradients are f32.
 *
 * <p>Letters as in {@link Block}.
 */
public final class BlockBackward {
    private final ProgramBuilder program;
    private final ModelConfig config;
    private final Block.Rotary rotary;

    /**
     * The norm of each head: its weight [d], the projections before it [T, heads d], and its weight's gradient f32 [d].
     *
     * @param accumulate whether the weight's gradient is added to
     */
    public record HeadNorm(Tensor weight, Tensor before, Tensor gradient, boolean accumulate) {}

    /**
     * Scratch of an MLP's gradients, each [T, f] with f padded to whole panels.
     *
     * @param hidden silu(gate) * up
     */
    public record MlpScratch(Tensor hidden, Tensor dGate, Tensor dUp) {}

    public BlockBackward(ProgramBuilder program, ModelConfig config, Block.Rotary rotary) {
        this.program = program;
        this.config = config;
        this.rotary = rotary;
    }

    /**
     * dX f32 [T, h] (+)= the gradient through a norm of x, rounded to dY.
     *
     * @param first whether nothing has been added to dX yet
     * @param gradient f32 [h], of the norm's weight
     */
    public void norm(
            Tensor x,
            Tensor weight,
            Tensor dNormed,
            Tensor dX,
            Tensor dY,
            boolean first,
            Tensor gradient,
            boolean accumulate) {
        program.compute(
                new RmsNormBackward(x, weight, dNormed, dX, dY, gradient, config.normEpsilon(), !first, accumulate));
    }

    /** dAttended [T, n d] = dY WO, and WO's gradient [h, n d] (+)= dY^T attended. */
    public void output(
            Tensor dY, Tensor attended, Tensor weight, Tensor dAttended, AttentionGradients.Queries gradients) {
        program.compute(new Gemm(Form.NN, dY, weight, null, dAttended, false));
        program.compute(new Gemm(Form.TN, dY, attended, null, gradients.out(), gradients.accumulate()));
    }

    /** dQ [T, n d] and dKv f32 [rows, 2 m d] of an attention launch. */
    public void attend(Attention forward, Tensor dAttended, Tensor dQ, Tensor dKv, boolean accumulate) {
        long width = dKv.dim(1) / 2;
        program.compute(new AttentionBackward(
                forward,
                heads(dAttended),
                heads(dQ),
                heads(dKv.slice(1, 0, width)),
                heads(dKv.slice(1, width, width)),
                accumulate));
    }

    /** From the gradient of queries [T, n d], which becomes that of their projections, to x and to the weights. */
    public void queries(
            Tensor x,
            Tensor weight,
            @Nullable HeadNorm norm,
            Tensor dQ,
            Tensor dNormed,
            boolean first,
            AttentionGradients.Queries gradients) {
        unrotate(dQ, norm);
        program.compute(new Gemm(Form.NN, dQ, weight, null, dNormed, !first));
        weights(x, dQ, gradients.q(), gradients.accumulate(), gradients.bias(), gradients.accumulateBias());
    }

    /**
     * As {@link #queries}, for keys and values of the rank's tokens.
     *
     * @param dKv f32 [T, 2 m d]
     * @param rounded [T, 2 m d]: room for dKv in the activations' dtype; dKv itself if that is f32
     */
    public void keysAndValues(
            Tensor x,
            Tensor weight,
            @Nullable HeadNorm norm,
            Tensor dKv,
            Tensor rounded,
            Tensor dNormed,
            AttentionGradients.KeysAndValues gradients) {
        unrotate(dKv.slice(1, 0, dKv.dim(1) / 2), norm);
        if (!rounded.equals(dKv)) {
            program.compute(new Copy(dKv, rounded));
        }
        program.compute(new Gemm(Form.NN, rounded, weight, null, dNormed, true));
        weights(x, rounded, gradients.kv(), gradients.accumulate(), gradients.bias(), gradients.accumulateBias());
    }

    private void unrotate(Tensor gradient, @Nullable HeadNorm norm) {
        Tensor heads = heads(gradient);
        program.compute(
                new Rope(heads, rotary.positions(), rotary.inverseFrequencies(), rotary.attentionScale(), true));
        if (norm != null) {
            program.compute(new RmsNormBackward(
                    heads(norm.before()),
                    norm.weight(),
                    heads,
                    heads,
                    null,
                    norm.gradient(),
                    config.normEpsilon(),
                    false,
                    norm.accumulate()));
        }
    }

    private void weights(
            Tensor x,
            Tensor dOut,
            Tensor gradient,
            boolean accumulate,
            @Nullable Tensor biasGradient,
            boolean accumulateBias) {
        program.compute(new Gemm(Form.TN, dOut, x, null, gradient, accumulate));
        if (biasGradient != null) {
            program.compute(new ColumnSum(dOut, biasGradient, accumulateBias));
        }
    }

    /**
     * dX f32 [T, h] (+)= the gradient through the gated MLP of some features; what the weights' gradients need is left
     * in scratch.
     */
    public void mlp(
            Tensor x,
            MlpShard.Weights weights,
            Tensor dY,
            @Nullable Tensor saved,
            MlpScratch scratch,
            Tensor dX,
            boolean first) {
        program.compute(new GatedMlpBackward(
                x,
                weights.gateUp(),
                weights.down(),
                dY,
                saved,
                scratch.hidden(),
                scratch.dGate(),
                scratch.dUp(),
                dX,
                weights.intermediate(),
                !first));
    }

    /** The weights' gradients (+)= products of what {@link #mlp} left. */
    public void mlpWeights(Tensor x, Tensor dY, MlpScratch scratch, MlpGradients.Views gradients, boolean accumulate) {
        long features = gradients.gate().dim(0);
        program.compute(
                new Gemm(Form.TN, scratch.dGate().slice(1, 0, features), x, null, gradients.gate(), accumulate));
        program.compute(new Gemm(Form.TN, scratch.dUp().slice(1, 0, features), x, null, gradients.up(), accumulate));
        program.compute(
                new Gemm(Form.TN, dY, scratch.hidden().slice(1, 0, features), null, gradients.down(), accumulate));
    }

    private Tensor heads(Tensor x) {
        return x.reshape(x.dim(0), x.dim(1) / config.headDim(), config.headDim());
    }
}
