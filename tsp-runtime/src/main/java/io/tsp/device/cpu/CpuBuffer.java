package io.tsp.device.cpu;

import io.tsp.device.Buffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;

/** Ordinary memory outside the Java heap. */
final class CpuBuffer implements Buffer {
    /** A huge page: large arenas then need few entries of the translation buffer. */
    private static final long ALIGNMENT = 2L << 20;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;

    CpuBuffer(long bytes) {
        segment = arena.allocate(bytes, bytes >= ALIGNMENT ? ALIGNMENT : 256);
    }

    @Override
    public long address() {
        return segment.address();
    }

    @Override
    public long bytes() {
        return segment.byteSize();
    }

    @Override
    public void write(long offset, ByteBuffer source) {
        segment.asSlice(offset, source.remaining()).copyFrom(MemorySegment.ofBuffer(source));
        source.position(source.limit());
    }

    @Override
    public void read(long offset, ByteBuffer target) {
        MemorySegment.ofBuffer(target).copyFrom(segment.asSlice(offset, target.remaining()));
        target.position(target.limit());
    }

    @Override
    public void fill(byte value) {
        segment.fill(value);
    }

    @Override
    public long endOfBytesOtherThan(byte value) {
        long end = segment.byteSize();
        long eight = 0x0101010101010101L * (value & 0xFF);
        while (end >= Long.BYTES && segment.get(ValueLayout.JAVA_LONG_UNALIGNED, end - Long.BYTES) == eight) {
            end -= Long.BYTES;
        }
        while (end > 0 && segment.get(ValueLayout.JAVA_BYTE, end - 1) == value) {
            end--;
        }
        return end;
    }

    @Override
    public void close() {
        arena.close();
    }
}
