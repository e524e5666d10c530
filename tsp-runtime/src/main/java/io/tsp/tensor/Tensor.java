package io.tsp.tensor;

/**
 * A view of a slot: some of its bytes as elements of a dtype with a shape. Immutable; no memory is touched here.
 *
 * @param byteOffset where the first element lies in the slot
 * @param strides distance between neighbours along each dim, in elements; the last is 1
 */
public record Tensor(Slot slot, long byteOffset, DType dtype, Shape shape, Shape strides) {

    public Tensor {
        if (strides.rank() != shape.rank() || strides.last() != 1) {
            throw new IllegalArgumentException(
                    slot + ": strides " + strides + " do not fit shape " + shape + " (the last one must be 1)");
        }
        if (byteOffset < 0 || byteOffset % dtype.bytes() != 0) {
            throw new IllegalArgumentException(slot + ": byte offset " + byteOffset + " is not a place of a " + dtype);
        }
        if (shape.count() > 0 && byteOffset + span(shape, strides) * dtype.bytes() > slot.bytes()) {
            throw new IllegalArgumentException(slot + ": a view of shape " + shape + " at byte " + byteOffset
                    + " ends behind the slot's " + slot.bytes() + " bytes");
        }
    }

    /** A dense view that begins at a byte of the slot. */
    public static Tensor dense(Slot slot, long byteOffset, DType dtype, Shape shape) {
        return new Tensor(slot, byteOffset, dtype, shape, shape.denseStrides());
    }

    private static long span(Shape shape, Shape strides) {
        long last = 0;
        for (int i = 0; i < shape.rank(); i++) {
            last += (shape.dim(i) - 1) * strides.dim(i);
        }
        return last + 1;
    }

    public long dim(int index) {
        return shape.dim(index);
    }

    /** Number of elements. */
    public long count() {
        return shape.count();
    }

    public boolean isEmpty() {
        return count() == 0;
    }

    /** Bytes of the elements, without what lies between them. */
    public long bytes() {
        return count() * dtype.bytes();
    }

    /** First byte behind the last element, in the slot. */
    public long byteEnd() {
        return isEmpty() ? byteOffset : byteOffset + span(shape, strides) * dtype.bytes();
    }

    public boolean isDense() {
        if (isEmpty()) {
            return true;
        }
        Shape dense = shape.denseStrides();
        for (int i = 0; i < shape.rank(); i++) {
            if (shape.dim(i) > 1 && strides.dim(i) != dense.dim(i)) {
                return false;
            }
        }
        return true;
    }

    /** Whether some byte may belong to both views. Strided views count with all that lies between their elements. */
    public boolean overlaps(Tensor other) {
        return slot.id() == other.slot.id()
                && !isEmpty()
                && !other.isEmpty()
                && byteOffset < other.byteEnd()
                && other.byteOffset < byteEnd();
    }

    /** The part [from, from + count) of one dim. */
    public Tensor slice(int dim, long from, long count) {
        if (from < 0 || count < 0 || from + count > shape.dim(dim)) {
            throw new IllegalArgumentException(
                    this + ": [" + from + ", " + (from + count) + ") is not a part of dim " + dim);
        }
        return new Tensor(
                slot, byteOffset + from * strides.dim(dim) * dtype.bytes(), dtype, shape.with(dim, count), strides);
    }

    /** The part [from, from + count) of the outermost dim. */
    public Tensor rows(long from, long count) {
        return slice(0, from, count);
    }

    /** The same elements under another shape; the last dim may always be split, other changes need a dense tensor. */
    public Tensor reshape(long... dims) {
        Shape target = Shape.of(dims);
        if (target.count() != count()) {
            throw new IllegalArgumentException(this + " has not the elements of shape " + target);
        }
        if (isDense()) {
            return dense(slot, byteOffset, dtype, target);
        }
        if (shape.rank() == 2 && target.rank() == 3 && target.dim(0) == shape.dim(0)) {
            return new Tensor(slot, byteOffset, dtype, target, Shape.of(strides.dim(0), target.dim(2), 1));
        }
        throw new IllegalArgumentException(this + " is not dense and cannot become " + target);
    }

    @Override
    public String toString() {
        return slot + "+" + byteOffset + ":" + dtype + shape;
    }
}
