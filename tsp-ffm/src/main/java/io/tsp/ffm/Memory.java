package io.tsp.ffm;

import java.lang.foreign.MemorySegment;

/** Raw memory by address: the one place that turns an address into something readable. Callers vouch for the bytes. */
public final class Memory {
    private Memory() {}

    /** The bytes at an address. */
    public static MemorySegment at(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /** Copies bytes that do not overlap. */
    public static void copy(long target, long source, long bytes) {
        if (bytes > 0) {
            at(target, bytes).copyFrom(at(source, bytes));
        }
    }
}
