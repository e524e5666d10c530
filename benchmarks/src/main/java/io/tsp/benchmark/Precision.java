package io.tsp.benchmark;

import io.tsp.model.Bfloat16;
import io.tsp.tensor.DType;

/** Where a formula rounds: nowhere, or as a plain loop would that computes in fp32 and stores a dtype. */
enum Precision {
    EXACT,
    F32,
    BF16;

    static Precision of(DType dtype) {
        return switch (dtype) {
            case F32 -> F32;
            case BF16 -> BF16;
            case I32, F64 -> throw new IllegalArgumentException("kernels do not compute in " + dtype);
        };
    }

    /** The result of one multiplication or addition. */
    double step(double value) {
        return this == EXACT ? value : (float) value;
    }

    /** What is read back after a value was stored. */
    double store(double value) {
        return this == BF16 ? round(value) : step(value);
    }

    static float round(double value) {
        short bits = Bfloat16.round(Float.floatToRawIntBits((float) value));
        return Float.intBitsToFloat(bits << Short.SIZE);
    }

    /** Sum of a[i] b[j] over count elements from two places on. */
    double dot(float[] a, int aFrom, float[] b, int bFrom, int count) {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum = step(sum + step((double) a[aFrom + i] * b[bFrom + i]));
        }
        return sum;
    }
}
