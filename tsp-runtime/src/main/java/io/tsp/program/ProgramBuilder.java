package io.tsp.program;

import io.tsp.op.CommunicationOp;
import io.tsp.op.ComputeOp;
import io.tsp.op.Op;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Writes a program down, op by op, in program order. Ops that would change nothing are left out, so a scheme need not
 * ask whether a shard is empty or a group has one member.
 *
 * <p>Reading order: a scheme comes before this file; next: {@link Schedule}, {@link Executor}.
 */
public final class ProgramBuilder {
    private final int rank;
    private final List<Slot> slots = new ArrayList<>();
    private final List<Step> steps = new ArrayList<>();
    private final Set<Slot> inputs = new LinkedHashSet<>();
    private final Set<Slot> outputs = new LinkedHashSet<>();
    private String label = "";

    public ProgramBuilder(int rank) {
        this.rank = rank;
    }

    public int rank() {
        return rank;
    }

    /** A new slot that holds one dense tensor. */
    public Tensor allocate(String name, MemoryClass memoryClass, DType dtype, long... dims) {
        Shape shape = Shape.of(dims);
        Slot slot = new Slot(slots.size(), name, memoryClass, Math.multiplyExact(shape.count(), dtype.bytes()));
        slots.add(slot);
        return Tensor.dense(slot, 0, dtype, shape);
    }

    /** A tensor that the host writes before a run. */
    public Tensor input(String name, MemoryClass memoryClass, DType dtype, long... dims) {
        Tensor tensor = allocate(name, memoryClass, dtype, dims);
        inputs.add(tensor.slot());
        return tensor;
    }

    /** Marks a tensor as one that the host reads after a run. */
    public Tensor output(Tensor tensor) {
        outputs.add(tensor.slot());
        return tensor;
    }

    /** Names the part of the model that the following steps belong to. */
    public ProgramBuilder label(String label) {
        this.label = label;
        return this;
    }

    /** Adds work of the device. */
    public void compute(ComputeOp op) {
        add(Lane.COMPUTE, op);
    }

    /** Adds an exchange with other ranks; groups of one rank have nothing to exchange. */
    public void communicate(Lane lane, CommunicationOp op) {
        if (op.group().size() > 1) {
            add(lane, op);
        }
    }

    private void add(Lane lane, Op op) {
        if (!op.isEmpty()) {
            steps.add(new Step(steps.size(), lane, op, label));
        }
    }

    public Program build() {
        return new Program(rank, slots, steps, inputs, outputs);
    }
}
