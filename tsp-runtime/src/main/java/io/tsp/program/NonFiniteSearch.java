package io.tsp.program;

import io.tsp.op.Access;
import io.tsp.op.ComputeOp;
import io.tsp.op.Op;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashSet;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Looks for the first NaN or infinity of one rank. Exchanges are passed over: what they bring was computed, and is named,
 * on the rank that sent it.
 */
final class NonFiniteSearch {
    private static final int PIECE_BYTES = 1 << 20;
    private static final int BFLOAT16_SHIFT = 16;

    private final Program program;
    private final Arenas arenas;
    private @Nullable NonFinite first;

    NonFiniteSearch(Program program, Arenas arenas) {
        this.program = program;
        this.arenas = arenas;
    }

    synchronized Optional<NonFinite> found() {
        return Optional.ofNullable(first);
    }

    /** Looks at what the program begins with: weights, and what the optimizer keeps. */
    void lookAtInputs() {
        Set<Tensor> seen = new HashSet<>();
        for (Step step : program.steps()) {
            for (Access access : step.op().accesses()) {
                Tensor tensor = access.tensor();
                if (access.mode().reads() && isState(tensor.slot()) && found().isEmpty() && seen.add(tensor)) {
                    bad(tensor, false).ifPresent(value -> offer(-1, "before the step", tensor, value));
                }
            }
        }
    }

    private boolean isState(Slot slot) {
        return program.inputs().contains(slot)
                && (slot.memoryClass() == MemoryClass.PARAMETERS || slot.memoryClass() == MemoryClass.OPTIMIZER);
    }

    /** What is to be done when a step has been done, if anything. */
    Optional<Runnable> after(Step step) {
        return step.op() instanceof ComputeOp ? Optional.of(() -> look(step)) : Optional.empty();
    }

    private void look(Step step) {
        boolean masks = mayMask(step.op());
        for (Access access : step.op().accesses()) {
            if (access.mode().writes()) {
                Tensor tensor = access.tensor();
                bad(tensor, masks).ifPresent(value -> offer(step.index(), step.toString(), tensor, value));
            }
        }
    }

    /** Lanes run beside each other, so the first one found need not be the first in program order. */
    private synchronized void offer(int step, String where, Tensor tensor, double value) {
        if (first == null || step < first.step()) {
            first = new NonFinite(program.rank(), step, where, tensor.slot().name(), value);
        }
    }

    /** Log-sum-exps and running maxima of what is masked are minus infinity. */
    private static boolean mayMask(Op op) {
        return op instanceof ComputeOp.Attention
                || op instanceof ComputeOp.CrossEntropyUpdate
                || op instanceof ComputeOp.CrossEntropyMerge;
    }

    /** The first number of a tensor that is not finite. */
    private OptionalDouble bad(Tensor tensor, boolean mayMask) {
        if (tensor.dtype() == DType.I32 || tensor.isEmpty()) {
            return OptionalDouble.empty();
        }
        if (tensor.isDense()) {
            return badDense(tensor.reshape(tensor.count()), mayMask);
        }
        for (long i = 0; i < tensor.dim(0); i++) {
            Tensor row = tensor.rows(i, 1);
            Tensor inner = new Tensor(
                    row.slot(), row.byteOffset(), row.dtype(), withoutFirst(row.shape()), withoutFirst(row.strides()));
            OptionalDouble value = bad(inner, mayMask);
            if (value.isPresent()) {
                return value;
            }
        }
        return OptionalDouble.empty();
    }

    private static Shape withoutFirst(Shape shape) {
        long[] dims = new long[shape.rank() - 1];
        for (int i = 0; i < dims.length; i++) {
            dims[i] = shape.dim(i + 1);
        }
        return Shape.of(dims);
    }

    private OptionalDouble badDense(Tensor elements, boolean mayMask) {
        int size = elements.dtype().bytes();
        ByteBuffer piece = ByteBuffer.allocate((int) Math.min(PIECE_BYTES, elements.bytes()))
                .order(ByteOrder.LITTLE_ENDIAN);
        for (long from = 0; from < elements.count(); from += PIECE_BYTES / size) {
            long count = Math.min(PIECE_BYTES / size, elements.count() - from);
            piece.clear().limit((int) count * size);
            arenas.buffer(elements.slot()).read(arenas.offset(elements.rows(from, count)), piece);
            for (piece.flip(); piece.hasRemaining(); ) {
                double value = next(piece, elements.dtype());
                if (!Double.isFinite(value) && !(mayMask && value == Double.NEGATIVE_INFINITY)) {
                    return OptionalDouble.of(value);
                }
            }
        }
        return OptionalDouble.empty();
    }

    private static double next(ByteBuffer values, DType dtype) {
        return switch (dtype) {
            case F32 -> values.getFloat();
            case BF16 -> Float.intBitsToFloat(values.getShort() << BFLOAT16_SHIFT);
            case F64 -> values.getDouble();
            case I32 -> values.getInt();
        };
    }
}
