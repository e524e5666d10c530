package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.tensor.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

/** A failure means that weights change in value when they are read in another dtype. */
class CastsTest {
    private static final int ALL = 1 << 16;

    @Test
    void everyBfloat16IsTheUpperHalfOfItsFloat() {
        ByteBuffer floats = cast(allHalves(), StoredType.BF16, DType.F32, ALL);
        for (int half = 0; half < ALL; half++) {
            assertEquals(half << 16, floats.getInt(half * 4));
        }
    }

    @Test
    void everyFloat16KeepsItsValue() {
        ByteBuffer floats = cast(allHalves(), StoredType.F16, DType.F32, ALL);
        for (int half = 0; half < ALL; half++) {
            double expected = float16(half);
            double actual = floats.getFloat(half * 4);
            assertTrue(Double.isNaN(expected) ? Double.isNaN(actual) : same(expected, actual), half + ": " + actual);
        }
    }

    @Test
    void everyFloat16RoundsToTheNearestBfloat16() {
        ByteBuffer rounded = cast(allHalves(), StoredType.F16, DType.BF16, ALL);
        for (int half = 0; half < ALL; half++) {
            checkRounding((float) float16(half), rounded.getShort(half * 2));
        }
    }

    @Test
    void floatsRoundToTheNearestBfloat16TiesToEven() {
        int[] lower = {0, 1, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff};
        ByteBuffer floats = ByteBuffer.allocate(ALL * lower.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        for (int upper = 0; upper < ALL; upper++) {
            for (int low : lower) {
                floats.putInt(upper << 16 | low);
            }
        }
        ByteBuffer rounded = cast(floats.flip(), StoredType.F32, DType.BF16, ALL * lower.length);
        for (int i = 0; i < ALL * lower.length; i++) {
            checkRounding(floats.getFloat(i * 4), rounded.getShort(i * 2));
        }
    }

    @Test
    void aNotANumberStaysOneWithItsSign() {
        ByteBuffer floats = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        floats.putInt(0x7f800001).putInt(0xffffffff).putInt(0x7fffffff).flip();
        ByteBuffer rounded = cast(floats, StoredType.F32, DType.BF16, 3);
        assertEquals((short) 0x7fc0, rounded.getShort(0));
        assertEquals((short) 0xffff, rounded.getShort(2));
        assertEquals((short) 0x7fff, rounded.getShort(4));
    }

    /** Compares with both neighbours, in double precision, where their differences are exact. */
    private static void checkRounding(float value, short rounded) {
        float actual = Float.intBitsToFloat(rounded << 16);
        if (Float.isNaN(value)) {
            assertTrue(Float.isNaN(actual));
            return;
        }
        int below = Float.floatToRawIntBits(value) >>> 16;
        double belowValue = finite(below);
        double aboveValue = finite(below + 1);
        double toBelow = Math.abs(value - belowValue);
        double toAbove = Math.abs(aboveValue - value);
        boolean down = Float.isInfinite(value) || toBelow < toAbove || (toBelow == toAbove && below % 2 == 0);
        assertEquals((short) (down ? below : below + 1), rounded, () -> Float.toHexString(value));
    }

    /** Beyond the largest finite number stands the next power of two, as IEEE 754 rounds. */
    private static double finite(int half) {
        float value = Float.intBitsToFloat(half << 16);
        return Float.isInfinite(value) ? Math.copySign(0x1p128, value) : value;
    }

    private static double float16(int half) {
        int exponent = half >> 10 & 31;
        int mantissa = half & 1023;
        double magnitude = exponent == 31
                ? mantissa == 0 ? Double.POSITIVE_INFINITY : Double.NaN
                : exponent == 0 ? mantissa * 0x1p-24 : (1024 + mantissa) * Math.scalb(1.0, exponent - 25);
        return half >= 0x8000 ? -magnitude : magnitude;
    }

    private static boolean same(double a, double b) {
        return Double.doubleToLongBits(a) == Double.doubleToLongBits(b);
    }

    private static ByteBuffer allHalves() {
        ByteBuffer halves = ByteBuffer.allocate(ALL * 2).order(ByteOrder.LITTLE_ENDIAN);
        for (int half = 0; half < ALL; half++) {
            halves.putShort((short) half);
        }
        return halves.flip();
    }

    private static ByteBuffer cast(ByteBuffer source, StoredType from, DType to, int count) {
        ByteBuffer target = ByteBuffer.allocate(count * to.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        new Casts().append(source.duplicate(), from, target, to);
        assertEquals(0, target.remaining());
        return target;
    }
}
