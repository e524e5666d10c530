package io.tsp.op;

import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Makes tensors, each in a slot of its own. */
final class Tensors {
    private int slots;

    Tensor f32(String name, long... dims) {
        Shape shape = Shape.of(dims);
        Slot slot = new Slot(slots++, name, MemoryClass.TRANSIENT, shape.count() * DType.F32.bytes());
        return Tensor.dense(slot, 0, DType.F32, shape);
    }

    List<Tensor> f32s(String name, long... counts) {
        List<Tensor> tensors = new ArrayList<>();
        for (long count : counts) {
            tensors.add(f32(name + tensors.size(), count));
        }
        return tensors;
    }

    /** The operands of an op, such as {@code READ a, WRITE b}. */
    static String accesses(Op op) {
        return String.join(
                ", ",
                op.accesses().stream()
                        .map(access -> access.mode() + " " + access.tensor().slot())
                        .toList());
    }
}
