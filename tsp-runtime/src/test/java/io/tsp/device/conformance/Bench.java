package io.tsp.device.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.device.Buffer;
import io.tsp.device.Device;
import io.tsp.device.Kernel;
import io.tsp.device.Stream;
import io.tsp.op.ComputeOp;
import io.tsp.tensor.Slot;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A device with a stream, on which ops run in memory of their own. */
final class Bench implements AutoCloseable {
    private static final Duration DEADLINE = Duration.ofMinutes(2);
    private static final byte NAN = (byte) 0xFF;
    private static final int GUARD_BYTES = 256;

    private final Device device;
    private final Stream stream;

    Bench(Device device) {
        this.device = device;
        this.stream = device.openStream("conformance");
    }

    String description() {
        return device.description();
    }

    Device device() {
        return device;
    }

    /** Copies images to the device, runs ops on them, and returns the bytes of every slot after that; one run at a time. */
    synchronized List<byte[]> run(List<ComputeOp> ops, List<Slot> slots, List<Image> images) {
        List<Buffer> buffers = new ArrayList<>();
        try {
            for (Image image : images) {
                Buffer buffer = device.allocate(image.bytes().length);
                buffers.add(buffer);
                buffer.write(0, ByteBuffer.wrap(image.bytes()));
            }
            ops.forEach(op -> run(op, buffers));
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

    /** The workspace has no more bytes than the kernel asked for, and holds NaNs. */
    private void run(ComputeOp op, List<Buffer> buffers) {
        Kernel kernel = device.prepare(op);
        long bytes = kernel.workspaceBytes();
        try (Buffer workspace = device.allocate(bytes + GUARD_BYTES)) {
            workspace.fill(NAN);
            Kernel.Binding binding = new Kernel.Binding(
                    tensor -> buffers.get(tensor.slot().id()).address() + tensor.byteOffset(),
                    workspace.address(),
                    stream);
            stream.enqueue(kernel.bind(binding));
            stream.synchronize(DEADLINE);
            byte[] behind = new byte[GUARD_BYTES];
            workspace.read(bytes, ByteBuffer.wrap(behind));
            for (byte value : behind) {
                assertEquals(NAN, value, () -> op.name() + " wrote behind the " + bytes + " bytes of its workspace");
            }
        }
    }

    @Override
    public void close() {
        assertTrue(stream.stop(DEADLINE), () -> description() + " still works");
        device.close();
    }
}
