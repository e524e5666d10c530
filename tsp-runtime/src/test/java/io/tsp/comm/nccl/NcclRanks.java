package io.tsp.comm.nccl;

import io.tsp.comm.Communicator;
import io.tsp.comm.local.LocalCommunicator;
import io.tsp.comm.local.LocalHub;
import io.tsp.device.Buffer;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.device.gpu.GpuDevice;
import io.tsp.device.gpu.VendorKernels;
import io.tsp.ffm.NcclLimits;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** Ranks on emulated GPUs, each with some memory, that exchange through NCCL or, for comparison, within the process. */
final class NcclRanks implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(60);
    static final int BYTES = 1 << 17;
    private static final Duration STOP = Duration.ofSeconds(20);

    /** How ranks exchange. */
    enum Kind {
        NCCL,
        LOCAL
    }

    private final Emulator emulator;
    private final int size;
    private final Group group;
    private final Hall hall;
    private final List<GpuDevice> devices = new ArrayList<>();
    private final List<Communicator> communicators = new ArrayList<>();
    private final List<Slot> slots = new ArrayList<>();
    private final List<Buffer> memory = new ArrayList<>();
    private final List<Buffer> workspaces = new ArrayList<>();
    private final Map<List<Integer>, Stream> streams = new HashMap<>();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    /** @param sumBytes so few that sums take several rounds */
    NcclRanks(Emulator emulator, Kind kind, int size, Duration deadline, long sumBytes) {
        this.emulator = emulator;
        this.size = size;
        group = new Group("test", IntStream.range(0, size).boxed().toList());
        hall = new Hall(deadline);
        LocalHub hub = new LocalHub(deadline);
        for (int rank = 0; rank < size; rank++) {
            int gpu = rank % emulator.runtime().deviceCount();
            GpuDevice device = new GpuDevice(
                    emulator.runtime(),
                    new GpuDevice.Rank(rank, gpu, "emulated", false),
                    new VendorKernels(emulator.kernels(), emulator.cublas(gpu)));
            devices.add(device);
            communicators.add(
                    kind == Kind.LOCAL
                            ? new LocalCommunicator(hub, device::transfers)
                            : new NcclCommunicator(rank(rank, gpu, deadline), device::transfers, sumBytes));
            hall.add(rank, communicators.getLast());
            slots.add(new Slot(rank, "memory", MemoryClass.TRANSIENT, BYTES));
            memory.add(device.allocate(BYTES));
        }
    }

    private NcclRank rank(int rank, int gpu, Duration deadline) {
        return new NcclRank(
                rank,
                size,
                emulator.nccl(),
                NcclLimits.NONE,
                () -> emulator.runtime().setDevice(gpu),
                hall.of(rank),
                deadline);
    }

    NcclRanks(Emulator emulator, Kind kind, int size) {
        this(emulator, kind, size, PATIENCE, 4096);
    }

    int size() {
        return size;
    }

    Group group() {
        return group;
    }

    Hall hall() {
        return hall;
    }

    Communicator communicator(int rank) {
        return communicators.get(rank);
    }

    /** A vector in a rank's memory. */
    Tensor vector(int rank, DType dtype, long byteOffset, long count) {
        return Tensor.dense(slots.get(rank), byteOffset, dtype, Shape.of(count));
    }

    /** Fills memory with numbers whose sums depend on their order. */
    void fill(long seed) {
        for (int rank = 0; rank < size; rank++) {
            Random random = new Random(seed * 100 + rank);
            ByteBuffer bytes = ByteBuffer.allocateDirect(BYTES).order(ByteOrder.nativeOrder());
            while (bytes.hasRemaining()) {
                // Both halves are sensible bf16 numbers, so the whole is a sensible f32.
                bytes.putShort(half(random));
            }
            memory.get(rank).write(0, bytes.flip());
        }
    }

    private static short half(Random random) {
        float magnitude = random.nextBoolean() ? 1 << 20 : 1 + random.nextInt(128) / 128f;
        return (short) (Float.floatToRawIntBits(random.nextBoolean() ? magnitude : -magnitude) >>> 16);
    }

    byte[] read(int rank) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(BYTES);
        memory.get(rank).read(0, bytes);
        byte[] array = new byte[BYTES];
        bytes.flip().get(array);
        return array;
    }

    long address(int rank, long byteOffset) {
        return memory.get(rank).address() + byteOffset;
    }

    synchronized Stream stream(int rank, int channel) {
        return streams.computeIfAbsent(
                List.of(rank, channel), key -> devices.get(rank).openStream("rank-" + rank + "-" + channel));
    }

    /** A copy inside a rank's memory, enqueued on a stream. */
    void copy(int rank, Stream stream, long target, long source, long bytes) {
        Transfers transfers = devices.get(rank).transfers(stream);
        stream.enqueue(() -> transfers.copy(address(rank, target), address(rank, source), bytes));
    }

    Launch bind(int rank, Stream stream, CommunicationOp op) {
        Communicator communicator = communicators.get(rank);
        long bytes = communicator.workspaceBytes(op);
        Buffer workspace = devices.get(rank).allocate(Math.max(1, bytes));
        workspace.fill((byte) -1);
        synchronized (this) {
            workspaces.add(workspace);
        }
        return communicator.bind(
                op,
                new Communicator.Binding(
                        0,
                        stream,
                        tensor -> address(rank, tensor.byteOffset()),
                        workspace.address(),
                        "rank " + rank + ", label " + op.name()));
    }

    /** Runs an op on every rank at once, each from a thread of its own, and waits for all. */
    void run(IntFunction<CommunicationOp> op) {
        runAll(rank -> () -> {
            Stream stream = stream(rank, 0);
            stream.enqueue(bind(rank, stream, op.apply(rank)));
            stream.synchronize(PATIENCE);
            communicators.get(rank).requireIntact();
        });
    }

    void runAll(IntFunction<Runnable> work) {
        List<Future<?>> running = new ArrayList<>();
        for (int rank = 0; rank < size; rank++) {
            running.add(start(work.apply(rank)));
        }
        running.forEach(NcclRanks::await);
    }

    Future<?> start(Runnable work) {
        return threads.submit(work);
    }

    /** Waits; a failure of the work is thrown as it is. */
    static void await(Future<?> running) {
        try {
            running.get(2 * PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new AssertionError(e);
        } catch (InterruptedException | TimeoutException e) {
            throw new AssertionError("a rank hangs", e);
        }
    }

    /** Whether all streams have come to an end. */
    synchronized boolean stop() {
        boolean stopped = true;
        for (Stream stream : streams.values()) {
            stopped &= stream.stop(STOP);
        }
        streams.clear();
        return stopped;
    }

    @Override
    public void close() {
        if (stop()) {
            runAll(rank -> () -> communicators.get(rank).close());
            memory.forEach(Buffer::close);
            workspaces.forEach(Buffer::close);
            devices.forEach(GpuDevice::close);
        }
        threads.shutdownNow();
    }
}
