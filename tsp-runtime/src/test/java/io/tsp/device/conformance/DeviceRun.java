package io.tsp.device.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.device.Buffer;
import io.tsp.device.Device;
import io.tsp.device.Kernel;
import io.tsp.device.Stream;
import io.tsp.op.ComputeOp;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Ops on fresh memory of a device; the workspace has no more bytes than the kernel asked for, and holds NaNs. */
final class DeviceRun {
    private static final Duration DEADLINE = Duration.ofMinutes(2);
    private static final byte NAN = (byte) 0xFF;
    private static final int GUARD_BYTES = 256;

    private final Device device;
    private final List<Slot> slots;
    private final List<Image> images;
    private final List<Buffer> buffers = new ArrayList<>();

    DeviceRun(Device device, List<Slot> slots, List<Image> images) {
        this.device = device;
        this.slots = slots;
        this.images = images;
    }

    /** The bytes of every slot after the ops. */
    List<byte[]> run(List<ComputeOp> ops) {
        try (Stream stream = device.openStream("conformance")) {
            for (Slot slot : slots) {
                Buffer buffer = device.allocate(slot.bytes());
                buffers.add(buffer);
                buffer.write(0, ByteBuffer.wrap(images.get(slot.id()).bytes()));
            }
            ops.forEach(op -> run(op, stream));
            List<byte[]> after = new ArrayList<>();
            for (Slot slot : slots) {
                byte[] bytes = new byte[Math.toIntExact(slot.bytes())];
                buffers.get(slot.id()).read(0, ByteBuffer.wrap(bytes));
                after.add(bytes);
            }
            return after;
        } finally {
            buffers.forEach(Buffer::close);
        }
    }

    private void run(ComputeOp op, Stream stream) {
        Kernel kernel = device.prepare(op);
        long bytes = kernel.workspaceBytes();
        try (Buffer workspace = device.allocate(bytes + GUARD_BYTES)) {
            workspace.fill(NAN);
            stream.enqueue(kernel.bind(new Kernel.Binding(this::address, workspace.address(), stream)));
            stream.synchronize(DEADLINE);
            byte[] behind = new byte[GUARD_BYTES];
            workspace.read(bytes, ByteBuffer.wrap(behind));
            for (byte value : behind) {
                assertEquals(NAN, value, () -> op.name() + " wrote behind the " + bytes + " bytes of its workspace");
            }
        }
    }

    private long address(Tensor tensor) {
        return buffers.get(tensor.slot().id()).address() + tensor.byteOffset();
    }
}
