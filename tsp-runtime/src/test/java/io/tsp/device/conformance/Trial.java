package io.tsp.device.conformance;

import static org.junit.jupiter.api.Assertions.fail;

import io.tsp.op.ComputeOp;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * Operands of known values, ops that run on them one after the other, and what must be in memory after that. Every byte
 * that no expectation names must be what it was: inputs, guard words around operands, gaps between rows.
 *
 * <p>Outside operands there are NaNs around what is only read, so that reading too far shows in the result, and another
 * pattern around what is written. Outputs hold NaNs before the run.
 */
final class Trial {
    private static final byte NAN = (byte) 0xFF;
    private static final byte GUARD = 0x5A;
    private static final int GUARD_BYTES = 256;
    private static final int REPEATS = 2;
    static final int FAIR_NUMBER = 1000;

    private final List<Slot> slots = new ArrayList<>();
    private final List<Image> images = new ArrayList<>();
    private final List<ComputeOp> ops = new ArrayList<>();
    private final List<Expectation> expectations = new ArrayList<>();
    private final List<Normal> normals = new ArrayList<>();
    private final List<Tensor> scratches = new ArrayList<>();
    private final Random random;

    private record Expectation(Tensor tensor, Bounds bounds) {}

    /** An operand whose values are drawn. */
    private record Normal(Tensor tensor, double deviation) {}

    /** A result of an op as a function of its operands' values. */
    @FunctionalInterface
    interface Reference {
        double[] result(Function<Tensor, double[]> values, Precision precision);
    }

    /** Several results of one op. */
    @FunctionalInterface
    interface References {
        List<double[]> results(Function<Tensor, double[]> values, Precision precision);
    }

    Trial(long seed) {
        random = new Random(seed);
    }

    Random random() {
        return random;
    }

    /** Normally distributed values of the given standard deviation, as the dtype holds them. */
    Tensor input(String name, DType dtype, double deviation, Layout layout, long... dims) {
        Tensor tensor = allocate(name, dtype, NAN, layout, dims);
        fill(tensor, deviation);
        return tensor;
    }

    /** An input of given values. */
    Tensor input(String name, DType dtype, double[] values, Layout layout, long... dims) {
        Tensor tensor = allocate(name, dtype, NAN, layout, dims);
        set(tensor, values);
        return tensor;
    }

    /** Memory that holds NaNs until the op writes it. */
    Tensor output(String name, DType dtype, Layout layout, long... dims) {
        Tensor tensor = allocate(name, dtype, GUARD, layout, dims);
        image(tensor).fill(tensor, NAN);
        return tensor;
    }

    /** Memory that the op changes. */
    Tensor update(String name, DType dtype, double deviation, Layout layout, long... dims) {
        Tensor tensor = allocate(name, dtype, GUARD, layout, dims);
        fill(tensor, deviation);
        return tensor;
    }

    /** Memory between ops, whose contents after the run are nobody's business; nothing may be written around it. */
    Tensor scratch(String name, DType dtype, long... dims) {
        Tensor tensor = output(name, dtype, Layout.DENSE, dims);
        scratches.add(tensor);
        return tensor;
    }

    private void fill(Tensor tensor, double deviation) {
        normals.add(new Normal(tensor, deviation));
        set(tensor, normal(tensor.count(), deviation));
    }

    private Tensor allocate(String name, DType dtype, byte around, Layout layout, long... dims) {
        Shape shape = Shape.of(dims);
        Shape strides = layout.strides(dims);
        long span = shape.dim(0) * strides.dim(0);
        long offset = GUARD_BYTES + layout.offset() * dtype.bytes();
        long bytes = offset + span * dtype.bytes() + GUARD_BYTES;
        Slot slot = new Slot(slots.size(), name, MemoryClass.TRANSIENT, bytes);
        slots.add(slot);
        images.add(Image.filled(bytes, around));
        return new Tensor(slot, offset, dtype, shape, strides);
    }

    double[] normal(long count, double deviation) {
        return random.doubles(count)
                .map(unused -> deviation * random.nextGaussian())
                .toArray();
    }

    /** Values before the run. */
    double[] get(Tensor tensor) {
        return image(tensor).get(tensor);
    }

    void set(Tensor tensor, double[] values) {
        image(tensor).set(tensor, values);
    }

    private Image image(Tensor tensor) {
        return images.get(tensor.slot().id());
    }

    void run(ComputeOp op) {
        ops.add(op);
    }

    void expect(Tensor tensor, Bounds bounds) {
        expectations.add(new Expectation(tensor, bounds));
    }

    /**
     * Bounds of a result by {@link Bounds#within}. The error of low precision is that of a fair number of elements, since
     * one may be right by luck; if the result has fewer, drawn operands are drawn again.
     *
     * @param precision of the computation
     * @param stored how the result is stored
     */
    Bounds like(Reference reference, Precision precision, Precision stored) {
        References only = (values, rounding) -> List.of(reference.result(values, rounding));
        return like(only, precision, List.of(stored), FAIR_NUMBER).getFirst();
    }

    /**
     * The same for several results, each by its own error.
     *
     * @param fairNumber of elements; more than {@link #FAIR_NUMBER} where few of them are large
     */
    List<Bounds> like(References references, Precision precision, List<Precision> stored, int fairNumber) {
        List<double[]> exact = references.results(this::get, Precision.EXACT);
        double[] errors = new double[exact.size()];
        raise(errors, exact, references.results(this::get, precision));
        int fewest = exact.stream()
                .mapToInt(result -> result.length)
                .filter(length -> length > 0)
                .min()
                .orElse(fairNumber);
        for (int elements = fewest; elements < fairNumber; elements += fewest) {
            Function<Tensor, double[]> values = drawnAgain();
            raise(errors, references.results(values, Precision.EXACT), references.results(values, precision));
        }
        return IntStream.range(0, errors.length)
                .mapToObj(i -> Bounds.within(exact.get(i), errors[i], stored.get(i)))
                .toList();
    }

    private static void raise(double[] errors, List<double[]> exact, List<double[]> lowPrecision) {
        for (int i = 0; i < errors.length; i++) {
            errors[i] = Math.max(errors[i], Bounds.error(exact.get(i), lowPrecision.get(i)));
        }
    }

    private Function<Tensor, double[]> drawnAgain() {
        List<Image> drawn = new ArrayList<>(images);
        for (Normal normal : normals) {
            Image image = Image.filled(normal.tensor.slot().bytes(), NAN);
            image.set(normal.tensor, normal(normal.tensor.count(), normal.deviation));
            drawn.set(normal.tensor.slot().id(), image);
        }
        return tensor -> drawn.get(tensor.slot().id()).get(tensor);
    }

    /**
     * Runs the ops on every bench of a target, more than once on each.
     *
     * @throws AssertionError naming tensor, element, value and bounds if anything in memory is not as it must be
     */
    void judge(Target target) {
        List<byte[]> first = null;
        for (Bench bench : target.benches()) {
            for (int repeat = 0; repeat < REPEATS; repeat++) {
                List<byte[]> after = bench.run(ops, slots, images);
                if (first == null) {
                    first = after;
                    verify(bench.description(), after);
                }
                requireSame(bench.description(), first, after);
            }
        }
    }

    private void verify(String device, List<byte[]> after) {
        List<BitSet> written = new ArrayList<>();
        slots.forEach(slot -> written.add(new BitSet()));
        for (Expectation expectation : expectations) {
            verify(
                    device,
                    expectation,
                    after,
                    written.get(expectation.tensor.slot().id()));
        }
        for (Tensor tensor : scratches) {
            written.get(tensor.slot().id()).set((int) tensor.byteOffset(), (int) tensor.byteEnd());
        }
        for (Slot slot : slots) {
            byte[] bytes = after.get(slot.id()).clone();
            byte[] before = images.get(slot.id()).bytes();
            written.get(slot.id()).stream().forEach(i -> bytes[i] = before[i]);
            int mismatch = Arrays.mismatch(before, bytes);
            if (mismatch >= 0) {
                fail(device + ": byte " + mismatch + " of " + slot + " (" + slot.bytes() + " bytes, operands begin at "
                        + GUARD_BYTES + ") was written");
            }
        }
    }

    private void verify(String device, Expectation expectation, List<byte[]> after, BitSet written) {
        Tensor tensor = expectation.tensor;
        Image image = Image.of(after.get(tensor.slot().id()));
        double[] values = image.get(tensor);
        int[] places = Image.places(tensor);
        for (int i = 0; i < values.length; i++) {
            if (expectation.bounds.untouched().get(i)) {
                continue;
            }
            written.set(places[i], places[i] + tensor.dtype().bytes());
            if (!expectation.bounds.allow(i, values[i])) {
                fail(device + ": " + tensor + " element " + i + " is " + values[i] + ", not "
                        + expectation.bounds.describe(i));
            }
        }
    }

    private void requireSame(String device, List<byte[]> first, List<byte[]> after) {
        for (Slot slot : slots) {
            int mismatch = Arrays.mismatch(first.get(slot.id()), after.get(slot.id()));
            if (mismatch >= 0) {
                fail(device + ": byte " + mismatch + " of " + slot
                        + " differs from what the first run gave; results may depend neither on the run nor on"
                        + " threads");
            }
        }
    }
}
