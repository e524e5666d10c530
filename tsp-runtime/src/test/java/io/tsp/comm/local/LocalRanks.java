package io.tsp.comm.local;

import io.tsp.comm.Communicator;
import io.tsp.device.Launch;
import io.tsp.device.OrderedSum;
import io.tsp.device.Stream;
import io.tsp.device.cpu.CpuTransfers;
import io.tsp.device.gpu.HostStream;
import io.tsp.ffm.Memory;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Ranks as threads, with memory and a communicator each, on the CPU or on GPUs that are fakes. */
final class LocalRanks implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(20);

    /** The sum that a device makes, as a loop. */
    static final OrderedSum SUM = (dtype, sources, target, count) -> {
        for (long i = 0; i < count; i++) {
            float total = get(sources[0], dtype, i);
            for (int source = 1; source < sources.length; source++) {
                total += get(sources[source], dtype, i);
            }
            put(target, dtype, i, total);
        }
    };

    /** CPU ranks exchange on the thread that asks for it. */
    private static final Stream NONE = new HostStream();

    private final int size;
    private final @Nullable FakeGpus gpus;
    private final Group group;
    private final Arena arena = Arena.ofShared();
    private final Map<Integer, MemorySegment> memory = new ConcurrentHashMap<>();
    private final List<Communicator> communicators = new ArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    /** What ranks run on. */
    enum Kind {
        CPU,
        /** Two of them, so that some ranks share one. */
        GPU
    }

    LocalRanks(Kind kind, int size, Duration deadline) {
        this.size = size;
        this.gpus = kind == Kind.GPU ? new FakeGpus(size, SUM) : null;
        this.group = new Group("test", IntStream.range(0, size).boxed().toList());
        LocalHub hub = new LocalHub(deadline);
        for (int rank = 0; rank < size; rank++) {
            communicators.add(
                    gpus == null
                            ? new LocalCommunicator(hub, _ -> new CpuTransfers(SUM))
                            : new LocalCommunicator(hub, gpus.device(rank)::transfers));
        }
    }

    LocalRanks(Kind kind, int size) {
        this(kind, size, PATIENCE);
    }

    /** The ranks' GPUs. */
    FakeGpus gpus() {
        return Objects.requireNonNull(gpus);
    }

    int size() {
        return size;
    }

    Group group() {
        return group;
    }

    Communicator communicator(int rank) {
        return communicators.get(rank);
    }

    /** A vector somewhere in a rank's memory. */
    synchronized Tensor vector(DType dtype, long count) {
        Slot slot = new Slot(memory.size(), "vector", MemoryClass.TRANSIENT, count * dtype.bytes());
        memory.put(slot.id(), arena.allocate(Math.max(8, slot.bytes()), 64));
        return Tensor.dense(slot, 0, dtype, Shape.of(count));
    }

    Tensor vector(DType dtype, float... values) {
        Tensor tensor = vector(dtype, (long) values.length);
        write(tensor, values);
        return tensor;
    }

    void write(Tensor tensor, float... values) {
        for (int i = 0; i < values.length; i++) {
            put(address(tensor), tensor.dtype(), i, values[i]);
        }
    }

    float[] read(Tensor tensor) {
        float[] values = new float[(int) tensor.count()];
        for (int i = 0; i < values.length; i++) {
            values[i] = get(address(tensor), tensor.dtype(), i);
        }
        return values;
    }

    long address(Tensor tensor) {
        MemorySegment segment = memory.get(tensor.slot().id());
        if (segment == null) {
            throw new IllegalArgumentException("unknown " + tensor);
        }
        return segment.address() + tensor.byteOffset();
    }

    /** On GPUs the launch enqueues the exchange and waits for it. */
    Launch bind(int rank, int channel, CommunicationOp op) {
        if (gpus == null) {
            return bind(rank, channel, NONE, op);
        }
        Stream stream = gpus.stream(rank, channel);
        Launch launch = bind(rank, channel, stream, op);
        return new Launch() {
            @Override
            public void run() {
                stream.enqueue(launch);
                stream.synchronize(PATIENCE);
            }

            @Override
            public long peersArrivedNanos() {
                return launch.peersArrivedNanos();
            }
        };
    }

    /** An exchange to be enqueued on a stream. */
    Launch bind(int rank, int channel, Stream stream, CommunicationOp op) {
        String label = "rank " + rank + ", label " + op.name();
        return communicators.get(rank).bind(op, new Communicator.Binding(channel, stream, this::address, 0, label));
    }

    /** Runs an op on every rank at once. */
    void run(IntFunction<CommunicationOp> op) {
        runAll(rank -> bind(rank, 0, op.apply(rank)));
    }

    /** Runs work on every rank at once and fails with the first rank's failure. */
    void runAll(IntFunction<Launch> work) {
        List<Future<?>> running = new ArrayList<>();
        for (int rank = 0; rank < size; rank++) {
            running.add(start(work.apply(rank)));
        }
        running.forEach(LocalRanks::await);
    }

    Future<?> start(Launch launch) {
        return threads.submit(launch::run);
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

    static float get(long address, DType dtype, long index) {
        MemorySegment at = Memory.at(address + index * dtype.bytes(), dtype.bytes());
        return switch (dtype) {
            case F32 -> at.get(ValueLayout.JAVA_FLOAT, 0);
            case BF16 -> Float.intBitsToFloat(at.get(ValueLayout.JAVA_SHORT, 0) << 16);
            default -> throw new IllegalArgumentException(dtype.toString());
        };
    }

    static void put(long address, DType dtype, long index, float value) {
        MemorySegment at = Memory.at(address + index * dtype.bytes(), dtype.bytes());
        switch (dtype) {
            case F32 -> at.set(ValueLayout.JAVA_FLOAT, 0, value);
            case BF16 -> at.set(ValueLayout.JAVA_SHORT, 0, (short) (Float.floatToRawIntBits(round(value)) >>> 16));
            default -> throw new IllegalArgumentException(dtype.toString());
        }
    }

    /** To the nearest bf16, ties to even; for finite values. */
    static float round(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat((bits + 0x7FFF + (bits >>> 16 & 1)) & 0xFFFF0000);
    }

    @Override
    public void close() {
        threads.shutdownNow();
        communicators.forEach(Communicator::close);
        boolean ended = gpus == null || gpus.close(PATIENCE);
        try {
            ended &= threads.awaitTermination(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (ended) {
            arena.close();
        }
    }
}
