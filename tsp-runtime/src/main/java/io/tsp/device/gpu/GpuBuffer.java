package io.tsp.device.gpu;

import io.tsp.device.Buffer;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Objects;

/** Memory of a GPU. */
final class GpuBuffer implements Buffer {
    private final GpuDevice device;
    private final Staging staging;
    private final long address;
    private final long bytes;

    /** @throws io.tsp.ffm.GpuOutOfMemoryException if the GPU does not have it */
    GpuBuffer(GpuDevice device, Staging staging, long bytes) {
        this.device = device;
        this.staging = staging;
        this.bytes = bytes;
        address = device.call(() -> device.runtime().allocate(device.ordinal(), Math.max(1, bytes)));
    }

    @Override
    public long address() {
        return address;
    }

    @Override
    public long bytes() {
        return bytes;
    }

    @Override
    public void write(long offset, ByteBuffer source) {
        Objects.checkFromIndexSize(offset, source.remaining(), bytes);
        run(() -> staging.write(address + offset, MemorySegment.ofBuffer(source)));
        source.position(source.limit());
    }

    @Override
    public void read(long offset, ByteBuffer target) {
        Objects.checkFromIndexSize(offset, target.remaining(), bytes);
        run(() -> staging.read(address + offset, MemorySegment.ofBuffer(target)));
        target.position(target.limit());
    }

    @Override
    public void fill(byte value) {
        run(() -> staging.fill(address, value, bytes));
    }

    @Override
    public long endOfBytesOtherThan(byte value) {
        return device.call(() -> staging.endOfBytesOtherThan(value, address, bytes));
    }

    private void run(Runnable work) {
        device.call(() -> {
            work.run();
            return true;
        });
    }

    /** After a failure of the GPU nothing can be freed; the driver does it at the end of the process. */
    @Override
    public void close() {
        if (!device.isBroken()) {
            run(() -> device.runtime().free(device.ordinal(), address));
        }
    }
}
