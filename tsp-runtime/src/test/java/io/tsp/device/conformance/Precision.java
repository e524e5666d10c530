package io.tsp.device.conformance;

import io.tsp.model.Bfloat16;
import io.tsp.tensor.DType;

/**
 * How a reference rounds. EXACT is float64 throughout. The others do the same mathematics as plainly as a kernel could:
 * every step of arithmetic rounded to fp32, sums in ascending order, and what is stored rounded to the dtype. Their error
 * against EXACT is the yardstick for a kernel.
 */
enum Precision {
    EXACT,
    F32,
    BF16;

    private static final double LN_2 = Math.log(2);

    static Precision of(DType dtype) {
        return switch (dtype) {
            case F32 -> F32;
            case BF16 -> BF16;
            case I32, F64 -> throw new IllegalArgumentException("kernels do not compute in " + dtype);
        };
    }

    /** What a tensor of this precision holds of x. */
    double store(double x) {
        return switch (this) {
            case EXACT -> x;
            case F32 -> (float) x;
            case BF16 -> bf16((float) x);
        };
    }

    /** The largest relative error of {@link #store}. */
    double unitRoundoff() {
        return switch (this) {
            case EXACT -> 0;
            case F32 -> 0x1p-24;
            case BF16 -> 0x1p-9;
        };
    }

    /** What is left of x after one step of arithmetic. */
    double step(double x) {
        return this == EXACT ? x : (float) x;
    }

    /** e^x as kernels have it: processors know powers of two only, so that x is multiplied, and rounded, first. */
    double exp(double x) {
        return this == EXACT ? Math.exp(x) : (float) Math.exp((float) (x / LN_2) * LN_2);
    }

    /** Sum of a[i] * b[i] over count elements from the given places on. */
    double dot(double[] a, int fromA, double[] b, int fromB, int count) {
        if (this == EXACT) {
            double sum = 0;
            for (int i = 0; i < count; i++) {
                sum += a[fromA + i] * b[fromB + i];
            }
            return sum;
        }
        float sum = 0;
        for (int i = 0; i < count; i++) {
            sum += (float) a[fromA + i] * (float) b[fromB + i];
        }
        return sum;
    }

    static float bf16(float x) {
        return widen(Bfloat16.round(Float.floatToRawIntBits(x)));
    }

    static float widen(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }
}
