package io.tsp.device.gpu;

import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.Memory;
import java.lang.foreign.MemorySegment;

/** Pinned memory through which a rank's host threads read and write the GPU's, piece by piece, one thread at a time. */
final class Staging implements AutoCloseable {
    static final long PIECE_BYTES = 8L << 20;

    private final GpuRuntime runtime;
    private final int device;
    private final long stream;
    private final MemorySegment pinned;

    Staging(GpuRuntime runtime, int device) {
        this.runtime = runtime;
        this.device = device;
        pinned = Memory.at(runtime.allocateHost(PIECE_BYTES), PIECE_BYTES);
        stream = runtime.createStream(device, GpuRuntime.NORMAL_PRIORITY);
    }

    synchronized void write(long address, MemorySegment source) {
        for (long done = 0; done < source.byteSize(); done += PIECE_BYTES) {
            long bytes = Math.min(PIECE_BYTES, source.byteSize() - done);
            MemorySegment.copy(source, done, pinned, 0, bytes);
            runtime.copy(device, address + done, pinned.address(), bytes, stream);
            runtime.synchronize(device, stream);
        }
    }

    synchronized void read(long address, MemorySegment target) {
        for (long done = 0; done < target.byteSize(); done += PIECE_BYTES) {
            long bytes = Math.min(PIECE_BYTES, target.byteSize() - done);
            MemorySegment.copy(fetch(address + done, bytes), 0, target, done, bytes);
        }
    }

    private MemorySegment fetch(long address, long bytes) {
        runtime.copy(device, pinned.address(), address, bytes, stream);
        runtime.synchronize(device, stream);
        return pinned.asSlice(0, bytes);
    }

    synchronized void fill(long address, byte value, long bytes) {
        runtime.fill(device, address, value, bytes, stream);
        runtime.synchronize(device, stream);
    }

    synchronized long endOfBytesOtherThan(byte value, long address, long bytes) {
        for (long end = bytes; end > 0; ) {
            long from = Math.max(0, end - PIECE_BYTES);
            long found = Memory.endOfBytesOtherThan(value, fetch(address + from, end - from));
            if (found > 0) {
                return from + found;
            }
            end = from;
        }
        return 0;
    }

    @Override
    public synchronized void close() {
        runtime.destroyStream(device, stream);
        runtime.freeHost(pinned.address());
    }
}
