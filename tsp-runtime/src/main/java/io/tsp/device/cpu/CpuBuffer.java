package io.tsp.device.cpu;

import io.tsp.device.Buffer;
import io.tsp.ffm.Memory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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
        return Memory.endOfBytesOtherThan(value, segment);
    }

    @Override
    public void close() {
        arena.close();
    }
}
