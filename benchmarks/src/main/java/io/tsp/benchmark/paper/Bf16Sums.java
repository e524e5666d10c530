package io.tsp.benchmark.paper;

import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.program.Program;
import io.tsp.program.Step;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Programs as they would be if sums between ranks travelled in bf16: every exchange that sums f32 brings half of its
 * elements, hence of its bytes. For simulation only, since nothing is computed there; the work of ranks is as it was.
 */
final class Bf16Sums {
    private Bf16Sums() {}

    static Program of(Program program) {
        List<Step> steps = program.steps().stream()
                .map(step -> step.op() instanceof CommunicationOp op
                        ? new Step(step.index(), step.lane(), of(op), step.label())
                        : step)
                .toList();
        return new Program(program.rank(), program.slots(), steps, program.inputs(), program.outputs());
    }

    private static CommunicationOp of(CommunicationOp op) {
        return switch (op) {
            case AllReduce sum -> new AllReduce(sum.group(), sum.self(), half(sum.buffer()));
            case ReduceScatter sum -> new ReduceScatter(sum.group(), sum.self(), half(sum.parts()));
            // Gradients of keys and values, which ulysses sums before they change hands.
            case AllToAll exchange ->
                new AllToAll(exchange.group(), exchange.self(), half(exchange.send()), half(exchange.receive()));
            case SendReceive hop ->
                new SendReceive(
                        hop.group(),
                        hop.self(),
                        hop.to(),
                        halfOrNull(hop.send()),
                        hop.from(),
                        halfOrNull(hop.receive()));
            default -> op;
        };
    }

    private static @Nullable Tensor halfOrNull(@Nullable Tensor tensor) {
        return tensor == null ? null : half(tensor);
    }

    private static List<Tensor> half(List<Tensor> tensors) {
        return tensors.stream().map(Bf16Sums::half).toList();
    }

    private static Tensor half(Tensor tensor) {
        if (tensor.dtype() != DType.F32) {
            return tensor;
        }
        return tensor.reshape(tensor.count()).rows(0, Math.ceilDiv(tensor.count(), 2));
    }
}
