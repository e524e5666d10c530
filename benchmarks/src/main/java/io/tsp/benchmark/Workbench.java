package io.tsp.benchmark;

import io.tsp.device.Buffer;
import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.device.cpu.Cores;
import io.tsp.device.cpu.CpuDevice;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.Openmp;
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
import java.util.List;
import java.util.Random;
import java.util.function.DoubleSupplier;

/** This machine's CPU as a device, operands in its memory, and ops that are bound to them. */
final class Workbench implements AutoCloseable {
    private static final Duration STOP_DEADLINE = Duration.ofSeconds(30);
    private static final long SEED = 20260101;

    /** Numbers that are drawn before they repeat: prime, so that the rows of a tensor differ. */
    private static final int PERIOD = 1_000_003;

    private final int threads;
    private final KernelTable table;
    private final Dnnl dnnl;
    private final CpuDevice device;
    private final Yardstick yardstick;
    private final List<Buffer> buffers = new ArrayList<>();
    private final List<Stream> streams = new ArrayList<>();
    private final Random random = new Random(SEED);

    /** @param threads CPU threads of each kernel */
    Workbench(int threads) {
        this.threads = threads;
        NativeLibraries libraries = NativeLibraries.standard();
        Openmp openmp = Openmp.load(libraries);
        table = KernelTable.open(libraries.load(NativeLibrary.KERNELS_CPU), null);
        dnnl = Dnnl.load(libraries, openmp);
        device = new CpuDevice(table, dnnl, threads, new Cores(threads));
        yardstick = Yardstick.load();
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

    /** An op on its operands. On a CPU the launch is the work itself: running it calls the kernel on this thread. */
    Launch bind(ComputeOp op) {
        Kernel kernel = device.prepare(op);
        Tensor workspace = zeros("workspace", DType.F32, Math.ceilDiv(kernel.workspaceBytes(), Float.BYTES));
        return kernel.bind(new Kernel.Binding(this::address, address(workspace), openStream(op.name())));
    }

    /** A queue of this device, for work that must run beside other work. */
    Stream openStream(String name) {
        Stream stream = device.openStream(name);
        streams.add(stream);
        return stream;
    }

    Transfers transfers(Stream stream) {
        return device.transfers(stream);
    }

    /** GFLOP/s that these threads reach with nothing but registers. */
    double peakGflops(DType dtype) {
        return yardstick.peakGflops(table.isa(), dtype == DType.BF16, threads);
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

    /** Measures, when asked, the GB/s at which these threads copy: as many bytes, read and written, as a call moves. */
    DoubleSupplier copyLimit(long bytesPerCall) {
        long bytes = bytesPerCall / 2;
        Tensor source = zeros("copy source", DType.F32, bytes / Float.BYTES);
        Tensor target = zeros("copy target", DType.F32, bytes / Float.BYTES);
        return () -> yardstick.copyBandwidth(address(target), address(source), source.bytes(), threads);
    }

    @Override
    public void close() {
        streams.forEach(stream -> stream.stop(STOP_DEADLINE));
        buffers.forEach(Buffer::close);
        device.close();
        dnnl.close();
    }
}
