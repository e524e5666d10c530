package io.tsp.device.conformance;

import io.tsp.model.Bfloat16;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

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
            places[i] = Math.toIntExact(tensor.byteOffset() + element * tensor.dtype().bytes());
            for (int dim = rank - 1; dim >= 0 && ++index[dim] == tensor.dim(dim); dim--) {
                index[dim] = 0;
            }
        }
        return places;
    }

    double[] get(Tensor tensor) {
        int[] places = places(tensor);
        double[] elements = new double[places.length];
        for (int i = 0; i < places.length; i++) {
            elements[i] = switch (tensor.dtype()) {
                case F32 -> values.getFloat(places[i]);
                case BF16 -> Precision.widen(values.getShort(places[i]));
                case I32 -> values.getInt(places[i]);
                case F64 -> values.getDouble(places[i]);
            };
        }
        return elements;
    }

    /** Stores elements, rounded to the dtype. */
    void set(Tensor tensor, double[] elements) {
        int[] places = places(tensor);
        if (places.length != elements.length) {
            throw new IllegalArgumentException(tensor + " does not hold " + elements.length + " elements");
        }
        for (int i = 0; i < places.length; i++) {
            switch (tensor.dtype()) {
                case F32 -> values.putFloat(places[i], (float) elements[i]);
                case BF16 ->
                    values.putShort(places[i], Bfloat16.round(Float.floatToRawIntBits((float) elements[i])));
                case I32 -> values.putInt(places[i], (int) elements[i]);
                case F64 -> values.putDouble(places[i], elements[i]);
            }
        }
    }

    void fill(Tensor tensor, byte value) {
        for (int place : places(tensor)) {
            Arrays.fill(bytes, place, place + tensor.dtype().bytes(), value);
        }
    }
}
