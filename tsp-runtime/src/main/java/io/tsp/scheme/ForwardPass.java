package io.tsp.scheme;

import io.tsp.mesh.Range;
import io.tsp.model.Block;
import io.tsp.model.Parameter;
import io.tsp.model.WeightNames;
import io.tsp.op.Panels;
import io.tsp.program.ProgramBuilder;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.function.IntFunction;

/** Puts the sub-layers of a scheme together: embedding, all blocks, final norm, loss. The same for all schemes. */
public final class ForwardPass {
    /** Rows of a weight that are staged at a time on their way into panels; a multiple of a panel's columns. */
    private static final long STAGED_ROWS = 4 * Panels.COLUMNS;

    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final Block block;
    private final Sublayers sublayers;
    private final IntFunction<Tensor> residual;

    /**
     * @param residual where the residual stream [T, h] stands before sub-layer i, the final norm counting as one
     */
    ForwardPass(RankBuilder builder, Sublayers sublayers, IntFunction<Tensor> residual) {
        this.builder = builder;
        this.program = builder.program();
        this.block = builder.block();
        this.sublayers = sublayers;
        this.residual = residual;
    }

    /** A rank's whole forward program. */
    public static ForwardProgram program(RankBuilder builder, Sublayers sublayers) {
        Tensor y = sublayers.y();
        Tensor x = builder.activation("x", builder.dtype(), y.dim(0), y.dim(1));
        LossHead.Result result = new ForwardPass(builder, sublayers, sublayer -> x).run();
        return program(builder, result);
    }

    /** What is left to say when all ops are written down. */
    static ForwardProgram program(RankBuilder builder, LossHead.Result result) {
        var parameters = builder.weights().parameters();
        long staged =
                parameters.stream().mapToLong(ForwardPass::stagedCount).max().orElse(0);
        Tensor staging = builder.program().input("staging", MemoryClass.HOST, builder.dtype(), staged);
        return new ForwardProgram(
                builder.program().build(),
                parameters,
                staging,
                builder.inputs().all(),
                builder.inverseFrequencies(),
                result.totals(),
                result.logits());
    }

    /** Writes the ops of one microbatch down. */
    LossHead.Result run() {
        program.label("embedding");
        sublayers.embed(residual.apply(0));
        int layers = builder.config().layers();
        for (int layer = 0; layer < layers; layer++) {
            program.label("layer " + layer + " attention");
            norm(2 * layer);
            sublayers.attention(layer);
            program.label("layer " + layer + " mlp");
            norm(2 * layer + 1);
            sublayers.mlp(layer);
        }
        program.label("loss");
        norm(2 * layers);
        return sublayers.loss();
    }

    /** The input of a sub-layer from the residual stream and the result of the one before. */
    private void norm(int sublayer) {
        Tensor weight =
                builder.weights().vector(normName(sublayer), builder.config().hidden());
        Tensor x = residual.apply(sublayer);
        if (sublayer == 0) {
            block.norm(x, null, weight, null, sublayers.normed(sublayer));
        } else {
            block.norm(residual.apply(sublayer - 1), sublayers.y(), weight, x, sublayers.normed(sublayer));
        }
    }

    /** The norm before a sub-layer. */
    String normName(int sublayer) {
        int layer = sublayer / 2;
        if (layer == builder.config().layers()) {
            return WeightNames.FINAL_NORM;
        }
        return sublayer % 2 == 0 ? WeightNames.inputNorm(layer) : WeightNames.postAttentionNorm(layer);
    }

    /** Elements of a weight that are on their way into panels at a time. */
    private static long stagedCount(Parameter parameter) {
        return switch (parameter.source()) {
            case Parameter.Block _ -> 0;
            case Parameter.Panels panels -> stagedCount(panels.rows(), panels.columns());
            case Parameter.GateUpPanels panels -> 2 * stagedCount(panels.rows(), panels.columns());
        };
    }

    private static long stagedCount(Range rows, Range columns) {
        return Math.min(rows.count(), STAGED_ROWS) * columns.count();
    }
}
