package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.model.BlockBackward;
import io.tsp.model.Parameter;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.RankWeights.Gradient;
import io.tsp.scheme.TrainingProgram.GradientPart;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Puts the sub-layers of a scheme together to one rank's step of training: every microbatch forward and backward, the
 * sums of gradients between replicas, each as soon as it is complete, and the optimizer. The same for all schemes.
 *
 * <p>The residual stream before each sub-layer is kept; from it the backward pass makes what a sub-layer had read again,
 * unless that is kept, too.
 */
public final class TrainingStep {
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final Sublayers sublayers;
    private final Sublayers.Backward backward;
    private final BlockBackward block;
    private final ForwardPass forward;
    private final TrainingRequest request;
    private final Tensor dX;

    private TrainingStep(RankBuilder builder, Sublayers sublayers) {
        this.builder = builder;
        this.program = builder.program();
        this.sublayers = sublayers;
        this.backward = sublayers.backward();
        this.block = builder.blockBackward();
        this.request = Objects.requireNonNull(builder.training());
        this.forward = new ForwardPass(builder, sublayers, this::residual);
        Tensor dY = backward.dY();
        dX = builder.activation("gradient of x", DType.F32, dY.dim(0), dY.dim(1));
    }

    /** A rank's whole step. */
    public static TrainingProgram program(RankBuilder builder, Sublayers sublayers, int worldSize) {
        return new TrainingStep(builder, sublayers).program(worldSize);
    }

    private TrainingProgram program(int worldSize) {
        List<LossHead.Result> results = new ArrayList<>();
        for (int i = 0; i < request.microbatches(); i++) {
            builder.inputs().begin(i);
            results.add(forward.run());
            backward();
        }
        List<GradientPart> parts =
                builder.weights().gradients().stream().flatMap(this::parts).toList();
        builder.weights().gradients().forEach(gradient -> program.output(gradient.buffer()));
        TrainingProgram.Update update = null;
        if (request.update()) {
            Group world =
                    new Group("world", IntStream.range(0, worldSize).boxed().toList());
            update = new OptimizerStep(builder, world, request).write(parts);
        }
        return new TrainingProgram(
                ForwardPass.program(builder, results.getLast()), builder.labelWeight(), parts, update);
    }

    private Stream<GradientPart> parts(Gradient gradient) {
        boolean owner = gradient.holders().ranks().getFirst() == program.rank();
        return gradient.parts().stream()
                .map(part ->
                        new GradientPart((Parameter.Block) part.source(), part.tensor(), gradient.holders(), owner));
    }

    private Tensor residual(int sublayer) {
        Tensor y = sublayers.y();
        return builder.saved("residual " + sublayer, builder.dtype(), y.dim(0), y.dim(1));
    }

    private void backward() {
        int layers = builder.config().layers();
        program.label("loss backward");
        backward.loss();
        if (builder.config().tiedEmbeddings()) {
            builder.weights().takeTouched(); // the embedding adds to the gradient of the output projection
        }
        normBackward(2 * layers, true);
        for (int layer = layers - 1; layer >= 0; layer--) {
            program.label("layer " + layer + " mlp backward");
            restore(2 * layer + 1);
            backward.mlp(layer);
            normBackward(2 * layer + 1, false);
            program.label("layer " + layer + " attention backward");
            restore(2 * layer);
            backward.attention(layer);
            normBackward(2 * layer, false);
        }
        program.label("embedding backward");
        backward.embed();
        reduce();
    }

    /** What a sub-layer had read, unless it is still there. */
    private void restore(int sublayer) {
        if (builder.keepsAll()) {
            return;
        }
        builder.block().norm(residual(sublayer), null, normWeight(sublayer), null, sublayers.normed(sublayer));
    }

    private Tensor normWeight(int sublayer) {
        return builder.weights()
                .vector(forward.normName(sublayer), builder.config().hidden());
    }

    private void normBackward(int sublayer, boolean first) {
        block.norm(
                residual(sublayer),
                normWeight(sublayer),
                backward.dNormed(),
                dX,
                backward.dY(),
                first,
                builder.weights()
                        .vectorGradient(
                                forward.normName(sublayer), builder.config().hidden(), backward.normSharing()),
                builder.accumulates());
        reduce();
    }

    /** Adds up, over replicas, the gradients that are complete since the last call. */
    private void reduce() {
        List<Gradient> complete = builder.weights().takeTouched();
        if (builder.microbatch() < request.microbatches() - 1) {
            return;
        }
        for (Gradient gradient : complete) {
            Group summed = gradient.summed();
            program.communicate(Lane.GRADS, new AllReduce(summed, summed.indexOf(program.rank()), gradient.buffer()));
        }
    }
}
