package io.tsp.checkpoint;

import io.tsp.model.Bfloat16;
import io.tsp.tensor.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Turns stored elements into the asked dtype, one cache-sized piece after the other. Widening is exact, rounding is to
 * nearest even. The loops run over arrays because that is what the JIT compiler vectorises. Not for several threads.
 */
final class Casts {
    /** Small enough for a level 2 cache with its input and output. */
    private static final int PIECE = 1 << 14;

    private final int[] bits = new int[PIECE];
    private final short[] halves = new short[PIECE];
    private final float[] floats = new float[PIECE];

    /** Appends to target all elements that remain in source; both little-endian, both are advanced. */
    void append(ByteBuffer source, StoredType from, ByteBuffer target, DType to) {
        if (isSame(from, to)) {
            target.put(source);
            return;
        }
        source.order(ByteOrder.LITTLE_ENDIAN);
        target.order(ByteOrder.LITTLE_ENDIAN);
        while (source.hasRemaining()) {
            int count = Math.min(PIECE, source.remaining() / from.bytes());
            appendPiece(source, from, target, to, count);
            source.position(source.position() + count * from.bytes());
            target.position(target.position() + count * to.bytes());
        }
    }

    static boolean isSame(StoredType from, DType to) {
        return switch (to) {
            case F32 -> from == StoredType.F32;
            case BF16 -> from == StoredType.BF16;
            default -> false;
        };
    }

    private void appendPiece(ByteBuffer source, StoredType from, ByteBuffer target, DType to, int count) {
        switch (from) {
            case F32 -> {
                source.asIntBuffer().get(bits, 0, count);
                roundTo(target, count);
            }
            case BF16 -> {
                source.asShortBuffer().get(halves, 0, count);
                Bfloat16.widen(halves, bits, count);
                target.asIntBuffer().put(bits, 0, count);
            }
            case F16 -> {
                source.asShortBuffer().get(halves, 0, count);
                widenF16(count);
                if (to == DType.F32) {
                    target.asFloatBuffer().put(floats, 0, count);
                } else {
                    reinterpret(count);
                    roundTo(target, count);
                }
            }
            default -> throw new IllegalArgumentException(from + " does not hold weights");
        }
    }

    private void widenF16(int count) {
        for (int i = 0; i < count; i++) {
            floats[i] = Float.float16ToFloat(halves[i]);
        }
    }

    private void reinterpret(int count) {
        for (int i = 0; i < count; i++) {
            bits[i] = Float.floatToRawIntBits(floats[i]);
        }
    }

    private void roundTo(ByteBuffer target, int count) {
        Bfloat16.round(bits, halves, count);
        target.asShortBuffer().put(halves, 0, count);
    }
}
