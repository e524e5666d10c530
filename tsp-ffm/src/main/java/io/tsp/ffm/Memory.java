package io.tsp.ffm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Raw memory by address: the one place that turns an address into something readable. Callers vouch for the bytes. */
public final class Memory {
    private Memory() {}

    /** The bytes at an address. */
    public static MemorySegment at(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /** Offset behind the last byte that differs from value; 0 if none does. */
    public static long endOfBytesOtherThan(byte value, MemorySegment bytes) {
        long end = bytes.byteSize();
        long eight = 0x0101010101010101L * (value & 0xFF);
        while (end >= Long.BYTES && bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, end - Long.BYTES) == eight) {
            end -= Long.BYTES;
        }
        while (end > 0 && bytes.get(ValueLayout.JAVA_BYTE, end - 1) == value) {
            end--;
        }
        return end;
    }

    /** Copies bytes that do not overlap. */
    public static void copy(long target, long source, long bytes) {
        if (bytes > 0) {
            at(target, bytes).copyFrom(at(source, bytes));
        }
    }
}
