package io.tsp.program;

import io.tsp.device.Buffer;
import io.tsp.device.Device;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.EnumMap;
import java.util.Map;

/** One rank's memory: an allocation per class, poisoned so that a read before a write and the touched size both show. */
final class Arenas implements AutoCloseable {
    /** As bytes of any float dtype this is a NaN. */
    private static final byte POISON = (byte) 0xFF;

    private final MemoryPlan plan;
    private final Map<MemoryClass, Buffer> buffers = new EnumMap<>(MemoryClass.class);

    Arenas(MemoryPlan plan, Device device) {
        this.plan = plan;
        plan.arenaBytes().forEach((memoryClass, bytes) -> {
            Buffer buffer = device.allocate(bytes);
            buffer.fill(POISON);
            buffers.put(memoryClass, buffer);
        });
    }

    Buffer buffer(Slot slot) {
        Buffer buffer = buffers.get(slot.memoryClass());
        if (buffer == null) {
            throw new IllegalStateException("slot " + slot + " has no memory");
        }
        return buffer;
    }

    /** Offset of a tensor's first element in its arena. */
    long offset(Tensor tensor) {
        return plan.offsets().get(tensor.slot().id()) + tensor.byteOffset();
    }

    /** Address of a tensor's first element; of empty tensors any address will do. */
    long address(Tensor tensor) {
        return tensor.isEmpty() ? MemoryPlan.ALIGNMENT : buffer(tensor.slot()).address() + offset(tensor);
    }

    long workspaceAddress(Lane lane) {
        Buffer buffer = buffers.get(MemoryClass.TRANSIENT);
        return buffer == null ? 0 : buffer.address() + plan.workspaceOffsets().getOrDefault(lane, 0L);
    }

    /** How much of each arena was ever written, from its begin to the last byte that is not poison. */
    Map<MemoryClass, Long> touchedBytes() {
        Map<MemoryClass, Long> touched = new EnumMap<>(MemoryClass.class);
        buffers.forEach((memoryClass, buffer) -> touched.put(memoryClass, buffer.endOfBytesOtherThan(POISON)));
        return touched;
    }

    @Override
    public void close() {
        buffers.values().forEach(Buffer::close);
    }
}
