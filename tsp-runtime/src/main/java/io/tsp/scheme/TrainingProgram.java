package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.model.Parameter;
import io.tsp.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A rank's step of training and what the host must know to use it.
 *
 * @param model what it shares with a forward program; inputs hold one microbatch after the other, totals too
 * @param labelWeight f32 [1]: what one label weighs in the loss, 1 over the valid labels of all microbatches and ranks
 * @param gradients of all weights of the rank
 * @param update the optimizer's part; null if the program ends with the gradients
 */
public record TrainingProgram(
        ForwardProgram model,
        Tensor labelWeight,
        List<GradientPart> gradients,
        @Nullable Update update) {

    /**
     * The gradient of a block of one Hugging Face tensor.
     *
     * @param tensor f32, dense
     * @param holders all ranks that hold the block
     * @param owner whether this rank is the one that speaks for them
     */
    public record GradientPart(Parameter.Block block, Tensor tensor, Group holders, boolean owner) {}

    /**
     * What the optimizer keeps for a block, dense. If it is divided between the ranks that hold a weight, the block is this
     * rank's rows of it, and may be empty.
     *
     * @param parameter f32, the master weight
     * @param first first moment
     * @param second second moment
     * @param owner whether this rank is the one that saves it, of all that keep the same
     */
    public record State(Parameter.Block block, Tensor parameter, Tensor first, Tensor second, boolean owner) {}

    /**
     * The optimizer's part.
     *
     * @param hyper f32 [8], see {@link io.tsp.op.TrainingOp.AdamW}; the host writes it before each step
     * @param clip f32 [3], see {@link io.tsp.op.TrainingOp.Clip}; the host reads it after each step
     * @param leaving f32 [ranks]: before a step the host writes its rank's element, 1 if it wants to stop after it, else
     *     0; after the step it reads what all ranks want, so that all stop at the same step
     */
    public record Update(Tensor hyper, Tensor clip, Tensor leaving, List<State> states) {
        public Update {
            states = List.copyOf(states);
        }
    }

    public TrainingProgram {
        gradients = List.copyOf(gradients);
    }
}
