package io.tsp.benchmark.paper;

import io.tsp.model.ModelConfig;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.program.Lane;
import io.tsp.program.Program;
import io.tsp.program.Step;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;

/**
 * What a rank receives, counted from ops of its program, in elements.
 *
 * @param bf16 what travels in bf16: weights, and activations that are not summed
 * @param sums of activations and their gradients, f32
 * @param gradients of weights, f32
 */
record Received(long bf16, long sums, long gradients) {
    private static final Received NONE = new Received(0, 0, 0);

    /** What travels in f32. */
    enum Wire {
        /** Nothing: the bookkeeping of the literature. */
        BF16("all in bf16", 2, 2),
        /** What accumulates over ranks and microbatches. */
        F32_GRADIENTS("weights' gradients in f32", 2, 4),
        /** All that is summed: what our programs do. */
        F32_SUMS("all sums in f32 (our programs)", 4, 4);

        private final String text;
        private final long bytesOfSum;
        private final long bytesOfGradient;

        Wire(String text, long bytesOfSum, long bytesOfGradient) {
            this.text = text;
            this.bytesOfSum = bytesOfSum;
            this.bytesOfGradient = bytesOfGradient;
        }

        String text() {
            return text;
        }
    }

    long elements() {
        return bf16 + sums + gradients;
    }

    long f32() {
        return sums + gradients;
    }

    long bytes(Wire wire) {
        return bf16 * DType.BF16.bytes() + sums * wire.bytesOfSum + gradients * wire.bytesOfGradient;
    }

    Received plus(Received other) {
        return new Received(bf16 + other.bf16, sums + other.sums, gradients + other.gradients);
    }

    Received minus(Received other) {
        return new Received(bf16 - other.bf16, sums - other.sums, gradients - other.gradients);
    }

    /** One layer, forward: what a third layer adds to two. */
    static Received forwardLayer(Scheme scheme, int kvHeads, long batch, long seq, int rank) {
        return forward(scheme, Reference.with(3, kvHeads), batch, seq, rank)
                .minus(forward(scheme, Reference.with(2, kvHeads), batch, seq, rank));
    }

    /** One layer, backward: the same for forward and backward, without forward. */
    static Received backwardLayer(Scheme scheme, int kvHeads, long batch, long seq, Recompute recompute, int rank) {
        return training(scheme, Reference.with(3, kvHeads), batch, seq, recompute, rank)
                .minus(training(scheme, Reference.with(2, kvHeads), batch, seq, recompute, rank))
                .minus(forwardLayer(scheme, kvHeads, batch, seq, rank));
    }

    private static Received forward(Scheme scheme, ModelConfig config, long batch, long seq, int rank) {
        return of(scheme.forward(Reference.forward(config, batch, seq), rank).program());
    }

    private static Received training(
            Scheme scheme, ModelConfig config, long batch, long seq, Recompute recompute, int rank) {
        return of(scheme.training(Reference.gradients(config, batch, seq, recompute), rank)
                .model()
                .program());
    }

    /** All exchanges of a program. */
    static Received of(Program program) {
        Received total = NONE;
        for (Step step : program.steps()) {
            if (step.op() instanceof CommunicationOp op) {
                total = total.plus(of(op, step.lane()));
            }
        }
        return total;
    }

    private static Received of(CommunicationOp op, Lane lane) {
        long elements = elements(op);
        DType dtype = op.accesses().getFirst().tensor().dtype();
        return switch (dtype) {
            case BF16 -> new Received(elements, 0, 0);
            case F32 -> lane == Lane.GRADS ? new Received(0, 0, elements) : new Received(0, elements, 0);
            // Sums of losses and what else happens once in a step, which no layer adds to.
            default -> NONE;
        };
    }

    private static long elements(CommunicationOp op) {
        int others = op.group().size() - 1;
        return switch (op) {
            case Broadcast broadcast ->
                broadcast.self() == broadcast.root() ? 0 : broadcast.buffer().count();
            case AllGather gather -> count(gather.parts()) - gather.own().count();
            case ReduceScatter scatter ->
                others * scatter.parts().get(op.self()).count();
            case AllReduce reduce ->
                // A reduce-scatter and an all-gather; all but a share of what is summed.
                2 * (reduce.buffer().count() - reduce.part(op.self()).count());
            case AllToAll exchange ->
                count(exchange.receive()) - exchange.receive().get(op.self()).count();
            case SendReceive hop -> hop.receive() == null ? 0 : hop.receive().count();
        };
    }

    private static long count(List<Tensor> tensors) {
        return tensors.stream().mapToLong(Tensor::count).sum();
    }
}
