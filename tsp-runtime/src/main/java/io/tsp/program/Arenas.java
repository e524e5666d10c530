package io.tsp.program;

import io.tsp.device.Buffer;
import io.tsp.device.Device;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** One rank's memory: an allocation per class, poisoned so that a read before a write and the touched size both show. */
final class Arenas implements AutoCloseable {
    /** As bytes of any float dtype this is a NaN. */
    private static final byte POISON = (byte) 0xFF;

    private final MemoryPlan plan;
    private final Map<MemoryClass, Buffer> buffers = new EnumMap<>(MemoryClass.class);
    private final @Nullable Arenas lender;
    /** Where the lender has the slots that are not here, by slot id. */
    private final Map<Integer, Slot> lent = new HashMap<>();

    Arenas(MemoryPlan plan, Device device) {
        this(plan, device, null);
    }

    private Arenas(MemoryPlan plan, Device device, @Nullable Arenas lender) {
        this.plan = plan;
        this.lender = lender;
        plan.arenaBytes().forEach((memoryClass, bytes) -> {
            Buffer buffer = device.allocate(bytes);
            buffer.fill(POISON);
            buffers.put(memoryClass, buffer);
        });
    }

    /**
     * Memory for a program that reads the parameters of another one, which must outlive it.
     *
     * @param plan without parameters
     * @throws IllegalArgumentException if the lender's program has not the same parameters
     */
    static Arenas reading(Arenas lender, Program lending, MemoryPlan plan, Program program, Device device) {
        Map<String, Slot> offered = new HashMap<>();
        parameters(lending).forEach(slot -> offered.put(slot.name(), slot));
        Arenas arenas = new Arenas(plan, device, lender);
        parameters(program).forEach(slot -> {
            Slot other = offered.get(slot.name());
            if (other == null || other.bytes() != slot.bytes()) {
                throw new IllegalArgumentException("parameter " + slot + " of " + slot.bytes()
                        + " bytes is not one of the program whose parameters are to be read");
            }
            arenas.lent.put(slot.id(), other);
        });
        return arenas;
    }

    private static Stream<Slot> parameters(Program program) {
        return program.slots().stream().filter(slot -> slot.memoryClass() == MemoryClass.PARAMETERS);
    }

    Buffer buffer(Slot slot) {
        Slot other = lent.get(slot.id());
        if (lender != null && other != null) {
            return lender.buffer(other);
        }
        Buffer buffer = buffers.get(slot.memoryClass());
        if (buffer == null) {
            throw new IllegalStateException("slot " + slot + " has no memory");
        }
        return buffer;
    }

    /** Offset of a tensor's first element in its arena. */
    long offset(Tensor tensor) {
        Slot other = lent.get(tensor.slot().id());
        if (lender != null && other != null) {
            return lender.plan.offsets().get(other.id()) + tensor.byteOffset();
        }
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
