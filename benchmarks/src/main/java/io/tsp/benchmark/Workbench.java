package io.tsp.benchmark;

import io.tsp.device.Buffer;
import io.tsp.device.Device;
import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.op.Access;
import io.tsp.op.ComputeOp;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.DoubleSupplier;

/** Devices of the machine that benchmarks run on, operands in their memory, and ops that are bound to them. */
final class Workbench implements AutoCloseable {
    private static final Duration STOP_DEADLINE = Duration.ofSeconds(30);
    private static final long SEED = 20260101;

    /** Numbers that are drawn before they repeat: prime, so that the rows of a tensor differ. */
    private static final int PERIOD = 1_000_003;

    private final Machine machine;
    private final Device device;
    private final List<Buffer> buffers = new ArrayList<>();

    /** Each has a device of its own, so that none holds up another where ranks meet. */
    private final Map<Stream, Device> streams = new LinkedHashMap<>();

    private final Random random = new Random(SEED);

    /** @param threads CPU threads of each kernel */
    Workbench(int threads) {
        machine = Machine.open(threads);
        device = machine.device(0);
    }

    /** A dense tensor in memory of its own; zeros. */
    Tensor zeros(String name, DType dtype, long... dims) {
        Shape shape = Shape.of(dims);
        Slot slot = new Slot(buffers.size(), name, MemoryClass.TRANSIENT, shape.count() * dtype.bytes());
        Buffer buffer = device.allocate(slot.bytes());
        buffer.fill((byte) 0);
        buffers.add(buffer);
        return Tensor.dense(slot, 0, dtype, shape);
    }

    /** A dense tensor of normally distributed numbers. */
    Tensor normal(String name, DType dtype, double deviation, long... dims) {
        Tensor tensor = zeros(name, dtype, dims);
        ByteBuffer values = ByteBuffer.allocateDirect((int) Math.min(PERIOD, tensor.count()) * dtype.bytes())
                .order(ByteOrder.nativeOrder());
        while (values.hasRemaining()) {
            float value = (float) (deviation * random.nextGaussian());
            switch (Precision.of(dtype)) {
                case BF16 -> values.putShort((short) (Float.floatToRawIntBits(Precision.round(value)) >>> Short.SIZE));
                case F32, EXACT -> values.putFloat(value);
            }
        }
        for (long offset = 0; offset < tensor.bytes(); offset += values.capacity()) {
            values.clear().limit((int) Math.min(values.capacity(), tensor.bytes() - offset));
            buffer(tensor).write(offset, values);
        }
        return tensor;
    }

    /** Writes the elements of a dense f32 tensor. */
    void write(Tensor tensor, float[] elements) {
        ByteBuffer bytes = ByteBuffer.allocate(elements.length * Float.BYTES).order(ByteOrder.nativeOrder());
        bytes.asFloatBuffer().put(elements);
        buffer(tensor).write(tensor.byteOffset(), bytes);
    }

    /** The elements of a dense f32 or bf16 tensor. */
    float[] read(Tensor tensor) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.nativeOrder());
        buffer(tensor).read(tensor.byteOffset(), bytes);
        bytes.flip();
        float[] elements = new float[Math.toIntExact(tensor.count())];
        for (int i = 0; i < elements.length; i++) {
            elements[i] = tensor.dtype() == DType.BF16
                    ? Float.intBitsToFloat(bytes.getShort() << Short.SIZE)
                    : bytes.getFloat();
        }
        return elements;
    }

    private Buffer buffer(Tensor tensor) {
        return buffers.get(tensor.slot().id());
    }

    /** Where a tensor's first element lies. */
    long address(Tensor tensor) {
        return buffer(tensor).address() + tensor.byteOffset();
    }

    /** An op on its operands. Running it returns when it is done. */
    Launch bind(ComputeOp op) {
        Stream stream = openStream(op.name());
        Launch launch = bind(op, stream);
        // On a CPU the launch is the work itself: the kernel then runs on the thread that calls.
        return stream.handle() == 0
                ? launch
                : () -> {
                    stream.enqueue(launch);
                    stream.synchronize(STOP_DEADLINE);
                };
    }

    /** An op on its operands, to be enqueued on this stream. */
    Launch bind(ComputeOp op, Stream stream) {
        Kernel kernel = deviceOf(stream).prepare(op);
        Tensor workspace = zeros("workspace", DType.F32, Math.ceilDiv(kernel.workspaceBytes(), Float.BYTES));
        return kernel.bind(new Kernel.Binding(this::address, address(workspace), stream));
    }

    /** A queue for work that must run beside other work. */
    Stream openStream(String name) {
        Device own = machine.device(1 + streams.size());
        Stream stream = own.openStream(name);
        streams.put(stream, own);
        return stream;
    }

    private Device deviceOf(Stream stream) {
        return Objects.requireNonNull(streams.get(stream));
    }

    Transfers transfers(Stream stream) {
        return deviceOf(stream).transfers(stream);
    }

    /** GFLOP/s that the machine reaches with nothing to wait for. */
    double peakGflops(DType dtype) {
        return machine.peakGflops(dtype);
    }

    /** Bytes that an op must read plus those that it must write; what it adds to is both. */
    static long bytesMoved(ComputeOp op) {
        long bytes = 0;
        for (Access access : op.accesses()) {
            int passes = (access.mode().reads() ? 1 : 0) + (access.mode().writes() ? 1 : 0);
            bytes += passes * access.tensor().bytes();
        }
        return bytes;
    }

    /** Measures, when asked, the GB/s at which the machine copies: as many bytes, read and written, as a call moves. */
    DoubleSupplier copyLimit(long bytesPerCall) {
        long bytes = bytesPerCall / 2;
        Tensor source = zeros("copy source", DType.F32, bytes / Float.BYTES);
        Tensor target = zeros("copy target", DType.F32, bytes / Float.BYTES);
        return () -> machine.copyBandwidth(address(target), address(source), source.bytes());
    }

    @Override
    public void close() {
        streams.keySet().forEach(stream -> stream.stop(STOP_DEADLINE));
        buffers.forEach(Buffer::close);
        streams.values().forEach(Device::close);
        device.close();
        machine.close();
    }
}
