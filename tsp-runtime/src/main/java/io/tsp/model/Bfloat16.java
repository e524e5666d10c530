package io.tsp.model;

/**
 * The upper half of an fp32 number. Rounding is to nearest, ties to even; a NaN stays a NaN (quiet, its sign and upper
 * payload kept). Loops are without branches so that the JIT compiler makes vector code of them.
 */
public final class Bfloat16 {
    private static final int INFINITY_BITS = 0x7f80_0000;

    private Bfloat16() {}

    /** The bfloat16 bits of the fp32 number with these bits. */
    public static short round(int floatBits) {
        // All ones for a NaN, whose rounding could carry into the exponent or, for a small payload, give an infinity.
        int nan = (INFINITY_BITS - (floatBits & 0x7fff_ffff)) >> 31;
        int nearest = (floatBits + 0x7fff + ((floatBits >>> 16) & 1)) >>> 16;
        int quiet = (floatBits >>> 16) | 0x40;
        return (short) ((nearest & ~nan) | (quiet & nan));
    }

    /** Rounds the first count numbers, given and returned as bits. */
    public static void round(int[] floatBits, short[] target, int count) {
        for (int i = 0; i < count; i++) {
            target[i] = round(floatBits[i]);
        }
    }

    /** Widens the first count numbers to fp32, exactly; bits in, bits out. */
    public static void widen(short[] source, int[] floatBits, int count) {
        for (int i = 0; i < count; i++) {
            floatBits[i] = source[i] << 16;
        }
    }
}
