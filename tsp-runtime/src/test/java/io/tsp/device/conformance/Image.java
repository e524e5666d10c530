package io.tsp.device.conformance;

import io.tsp.model.Bfloat16;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.IntStream;

/** The bytes of one slot, as the host sees them. */
final class Image {
    private final byte[] bytes;
    private final ByteBuffer values;

    private Image(byte[] bytes) {
        this.bytes = bytes;
        this.values = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
    }

    static Image filled(long size, byte value) {
        byte[] bytes = new byte[Math.toIntExact(size)];
        Arrays.fill(bytes, value);
        return new Image(bytes);
    }

    static Image of(byte[] bytes) {
        return new Image(bytes);
    }

    byte[] bytes() {
        return bytes;
    }

    /** Where each element of a view lies, in row-major order. */
    static int[] places(Tensor tensor) {
        int rank = tensor.shape().rank();
        int[] places = new int[Math.toIntExact(tensor.count())];
        long[] index = new long[rank];
        for (int i = 0; i < places.length; i++) {
            long element = 0;
            for (int dim = 0; dim < rank; dim++) {
                element += index[dim] * tensor.strides().dim(dim);
            }
            places[i] = Math.toIntExact(
                    tensor.byteOffset() + element * tensor.dtype().bytes());
            for (int dim = rank - 1; dim >= 0 && ++index[dim] == tensor.dim(dim); dim--) {
                index[dim] = 0;
            }
        }
        return places;
    }

    double[] get(Tensor tensor) {
        return IntStream.of(places(tensor))
                .mapToDouble(place -> get(tensor.dtype(), place))
                .toArray();
    }

    /** The element whose bytes begin at a place. */
    double get(DType dtype, int place) {
        return switch (dtype) {
            case F32 -> values.getFloat(place);
            case BF16 -> Precision.widen(values.getShort(place));
            case I32 -> values.getInt(place);
            case F64 -> values.getDouble(place);
        };
    }

    /** Stores elements, rounded to the dtype. */
    void set(Tensor tensor, double[] elements) {
        int[] places = places(tensor);
        if (places.length != elements.length) {
            throw new IllegalArgumentException(tensor + " does not hold " + elements.length + " elements");
        }
        for (int i = 0; i < places.length; i++) {
            set(tensor.dtype(), places[i], elements[i]);
        }
    }

    void set(DType dtype, int place, double element) {
        switch (dtype) {
            case F32 -> values.putFloat(place, (float) element);
            case BF16 -> values.putShort(place, Bfloat16.round(Float.floatToRawIntBits((float) element)));
            case I32 -> values.putInt(place, (int) element);
            case F64 -> values.putDouble(place, element);
        }
    }

    void fill(Tensor tensor, byte value) {
        for (int place : places(tensor)) {
            Arrays.fill(bytes, place, place + tensor.dtype().bytes(), value);
        }
    }
}
