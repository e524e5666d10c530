package io.tsp.device.gpu;

import io.tsp.ffm.GpuException;
import io.tsp.ffm.GpuOutOfMemoryException;
import io.tsp.ffm.GpuProperties;
import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.Memory;
import io.tsp.tensor.SystemClock;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * GPUs made of host memory and a thread for each stream, in the places where order matters as asynchronous as real ones:
 * work begins late, by random delays, and nothing but events orders streams. It refuses handles that were destroyed.
 */
public final class FakeGpuRuntime implements GpuRuntime {
    private static final int SLOWEST_NANOS = 300_000;
    private static final int ILLEGAL_ADDRESS = 700;

    private final int devices;
    private final long bytesOfEach;
    private final Random random = new Random(20_261_121);
    private final AtomicLong handles = new AtomicLong(1);
    private final Map<Long, Queue> streams = new ConcurrentHashMap<>();
    private final Map<Long, Happening> events = new ConcurrentHashMap<>();
    private final Map<Long, Block> blocks = new ConcurrentHashMap<>();
    private final Set<Integer> broken = ConcurrentHashMap.newKeySet();
    private final ThreadLocal<Integer> current = ThreadLocal.withInitial(() -> -1);
    private volatile boolean delays = true;
    private volatile long leastDelay;
    private volatile double millisPerNano = 1e-6;

    private record Block(int device, long bytes, Arena arena) {}

    /** The last record of an event; null before the first. */
    private static final class Happening {
        private volatile @Nullable CompletableFuture<Long> last;
    }

    private static final class Queue {
        private final int device;
        private final LinkedBlockingQueue<Runnable> work = new LinkedBlockingQueue<>();
        private volatile boolean destroyed;

        Queue(int device, String name) {
            this.device = device;
            Thread.ofPlatform().name(name).daemon().start(() -> {
                try {
                    while (!destroyed || !work.isEmpty()) {
                        work.take().run();
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
        }
    }

    public FakeGpuRuntime(int devices, long bytesOfEach) {
        this.devices = devices;
        this.bytesOfEach = bytesOfEach;
    }

    /** As many as a test may want, with memory enough. */
    public FakeGpuRuntime(int devices) {
        this(devices, 1L << 40);
    }

    /** Work begins at once from now on. */
    void hurry() {
        delays = false;
    }

    /** All work begins at least so late from now on. */
    void dawdle(Duration delay) {
        leastDelay = delay.toNanos();
    }

    /** From now on the vendor tells another time between events than passes. */
    void stretchTime(double factor) {
        millisPerNano = 1e-6 * factor;
    }

    /** Enqueues what a kernel would do; like a kernel it needs the calling thread to have chosen the device. */
    public void launch(long stream, Runnable kernel) {
        Queue queue = queue(stream);
        if (current.get() != queue.device) {
            throw new IllegalStateException(
                    "the thread's device is " + current.get() + ", the stream's " + queue.device);
        }
        refuseIfBroken(queue.device, "a launch");
        enqueue(queue, kernel);
    }

    /** Enqueues a kernel that reads where it must not. */
    void launchFault(long stream) {
        Queue queue = queue(stream);
        enqueue(queue, () -> broken.add(queue.device));
    }

    /** What has not been given back. */
    public String leaks() {
        return streams.size() + " streams, " + events.size() + " events, " + blocks.size() + " blocks";
    }

    private void enqueue(Queue queue, Runnable work) {
        long delay = delay();
        queue.work.add(() -> {
            if (delay > 0) {
                LockSupport.parkNanos(delay);
            }
            if (!broken.contains(queue.device)) {
                work.run();
            }
        });
    }

    private synchronized long delay() {
        return leastDelay + (delays && random.nextInt(4) == 0 ? random.nextInt(SLOWEST_NANOS) : 0);
    }

    private Queue queue(long stream) {
        Queue queue = streams.get(stream);
        if (queue == null) {
            throw new IllegalStateException("there is no stream " + stream);
        }
        return queue;
    }

    private Happening event(long event) {
        Happening happening = events.get(event);
        if (happening == null) {
            throw new IllegalStateException("there is no event " + event);
        }
        return happening;
    }

    private void refuseIfBroken(int device, String call) {
        if (broken.contains(device)) {
            throw new GpuException(
                    name(),
                    call,
                    "an illegal memory access was encountered",
                    "fakeErrorIllegalAddress",
                    ILLEGAL_ADDRESS);
        }
    }

    @Override
    public String name() {
        return "FAKE";
    }

    @Override
    public int driverVersion() {
        return 13_000;
    }

    @Override
    public int runtimeVersion() {
        return 13_000;
    }

    @Override
    public int deviceCount() {
        return devices;
    }

    @Override
    public GpuProperties properties(int device) {
        return new GpuProperties(
                "Fake " + device, 9, 0, 1, bytesOfEach, 1, "0000:00:0" + device + ".0", "0".repeat(32));
    }

    @Override
    public boolean canAccessPeer(int device, int peer) {
        return true;
    }

    @Override
    public void enablePeerAccess(int device, int peer) {}

    @Override
    public long allocate(int device, long bytes) {
        refuseIfBroken(device, "an allocation");
        if (bytes > freeBytes(device)) {
            throw new GpuOutOfMemoryException(name(), "an allocation", "out of memory", "fakeErrorMemory", 2);
        }
        return allocateBlock(device, bytes);
    }

    private long allocateBlock(int device, long bytes) {
        Arena arena = Arena.ofShared();
        long address = arena.allocate(bytes, 256).fill((byte) 0x5A).address();
        blocks.put(address, new Block(device, bytes, arena));
        return address;
    }

    @Override
    public void free(int device, long address) {
        refuseIfBroken(device, "a free");
        Block block = blocks.remove(address);
        if (block == null || block.device != device) {
            throw new IllegalStateException("device " + device + " has no block at " + address);
        }
        block.arena.close();
    }

    @Override
    public long allocateHost(long bytes) {
        return allocateBlock(-1, bytes);
    }

    @Override
    public void freeHost(long address) {
        free(-1, address);
    }

    @Override
    public long createStream(int device, int priority) {
        long handle = handles.getAndIncrement();
        streams.put(handle, new Queue(device, "fake-gpu-" + device + "-stream-" + handle));
        return handle;
    }

    @Override
    public void destroyStream(int device, long stream) {
        Queue queue = queue(stream);
        queue.destroyed = true;
        queue.work.add(() -> {});
        streams.remove(stream);
    }

    @Override
    public long createEvent(int device) {
        long handle = handles.getAndIncrement();
        events.put(handle, new Happening());
        return handle;
    }

    @Override
    public void destroyEvent(int device, long event) {
        event(event);
        events.remove(event);
    }

    @Override
    public void record(int device, long event, long stream) {
        refuseIfBroken(device, "a record");
        CompletableFuture<Long> happens = new CompletableFuture<>();
        event(event).last = happens;
        enqueue(queue(stream), () -> happens.complete(SystemClock.nanos()));
    }

    @Override
    public void await(int device, long stream, long event) {
        refuseIfBroken(device, "a wait");
        CompletableFuture<Long> last = event(event).last;
        if (last != null) {
            enqueue(queue(stream), last::join);
        }
    }

    @Override
    public boolean isDone(int device, long event) {
        refuseIfBroken(device, "a query");
        CompletableFuture<Long> last = event(event).last;
        return last == null || last.isDone();
    }

    @Override
    public double elapsedMillis(int device, long start, long end) {
        CompletableFuture<Long> first = event(start).last;
        CompletableFuture<Long> second = event(end).last;
        if (first == null || second == null || !first.isDone() || !second.isDone()) {
            throw new GpuException(name(), "a time", "an event has not happened", "fakeErrorNotReady", 600);
        }
        return (float) ((second.join() - first.join()) * millisPerNano);
    }

    @Override
    public void copy(int device, long target, long source, long bytes, long stream) {
        refuseIfBroken(device, "a copy");
        enqueue(queue(stream), () -> Memory.copy(target, source, bytes));
    }

    @Override
    public void fill(int device, long address, byte value, long bytes, long stream) {
        refuseIfBroken(device, "a fill");
        enqueue(queue(stream), () -> Memory.at(address, bytes).fill(value));
    }

    @Override
    public void synchronize(int device, long stream) {
        CompletableFuture<Boolean> done = new CompletableFuture<>();
        queue(stream).work.add(() -> done.complete(true));
        done.join();
        refuseIfBroken(device, "a wait of the host");
    }

    @Override
    public void setDevice(int device) {
        current.set(device);
    }

    @Override
    public long freeBytes(int device) {
        long used = blocks.values().stream()
                .filter(block -> block.device == device)
                .mapToLong(Block::bytes)
                .sum();
        return bytesOfEach - used;
    }
}
