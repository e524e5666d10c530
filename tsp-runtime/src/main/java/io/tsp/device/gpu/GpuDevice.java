package io.tsp.device.gpu;

import io.tsp.device.Buffer;
import io.tsp.device.Device;
import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.ffm.GpuException;
import io.tsp.ffm.GpuOutOfMemoryException;
import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.Status;
import io.tsp.op.ComputeOp;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * A GPU as one rank's device; several ranks may share one. Everything that the rank's streams do is issued by one thread
 * of its own.
 *
 * <p>Reading order: before this {@code Executor}; next {@link GpuKernels}.
 */
public final class GpuDevice implements Device {
    private static final Duration STOP_DEADLINE = Duration.ofSeconds(5);

    private final GpuRuntime runtime;
    private final Rank rank;
    private final GpuKernels kernels;
    private final Issuer issuer;
    private final EventPool events;
    private final GpuClock clock;
    private final Staging staging;
    private final Map<ComputeOp, Kernel> prepared = new HashMap<>();
    private volatile boolean broken;

    /**
     * Which rank, on which GPU, and how it is watched.
     *
     * @param number of the rank
     * @param ordinal number of the GPU, from 0
     * @param description what a user would call the GPU and its kernels
     * @param syncCheck wait for each op before the next is issued, so that a failure names its op
     */
    public record Rank(int number, int ordinal, String description, boolean syncCheck) {}

    /** @param kernels closed with this device */
    public GpuDevice(GpuRuntime runtime, Rank rank, GpuKernels kernels) {
        this.runtime = runtime;
        this.rank = rank;
        this.kernels = kernels;
        events = new EventPool(runtime, rank.ordinal);
        clock = new GpuClock(runtime, rank.ordinal);
        staging = new Staging(runtime, rank.ordinal);
        issuer = new Issuer("rank-" + rank.number + "-issuer");
    }

    @Override
    public String description() {
        return rank.description;
    }

    @Override
    public Buffer allocate(long bytes) {
        try {
            return new GpuBuffer(this, staging, bytes);
        } catch (GpuOutOfMemoryException e) {
            throw new OutOfMemoryException(runtime.name() + " device " + rank.ordinal + " does not have the "
                    + (bytes >> 20) + " MiB that rank " + rank.number + " asks for; " + (freeBytes() >> 20)
                    + " MiB are free: use a smaller batch or sequence, or more GPUs");
        }
    }

    private long freeBytes() {
        return call(() -> runtime.freeBytes(rank.ordinal));
    }

    @Override
    public Stream openStream(String name, Stream.Priority priority) {
        int level = priority == Stream.Priority.HIGH ? GpuRuntime.HIGH_PRIORITY : GpuRuntime.NORMAL_PRIORITY;
        long handle = call(() -> runtime.createStream(rank.ordinal, level));
        return new GpuStream(this, issuer, name, handle);
    }

    @Override
    public Transfers transfers(Stream stream) {
        return new GpuTransfers(this, kernels, (GpuStream) stream);
    }

    @Override
    public Kernel prepare(ComputeOp op) {
        return prepared.computeIfAbsent(op, key -> {
            runtime.setDevice(rank.ordinal);
            return new Issued(kernels.prepare(key));
        });
    }

    GpuRuntime runtime() {
        return runtime;
    }

    int ordinal() {
        return rank.ordinal;
    }

    /** Whether the vendor has reported a failure: from then on it accepts nothing for this GPU. */
    boolean isBroken() {
        return broken;
    }

    /** Enqueues work on a stream; only for the issuing thread. */
    void issue(GpuStream stream, Runnable work) {
        run(() -> {
            runtime.setDevice(rank.ordinal);
            work.run();
        });
        if (rank.syncCheck) {
            stream.finish();
        }
    }

    private void run(Runnable work) {
        call(() -> {
            work.run();
            return true;
        });
    }

    /** Does something with the vendor's library; its failure may be that of earlier work. */
    <T> T call(Supplier<T> work) {
        try {
            return work.get();
        } catch (GpuOutOfMemoryException e) {
            throw e;
        } catch (GpuException e) {
            throw failure(e);
        } catch (NativeException e) {
            throw e.status() == Status.DEVICE_ERROR ? failure(e) : e;
        }
    }

    private RuntimeException failure(RuntimeException cause) {
        broken = true;
        return rank.syncCheck
                ? cause
                : new IllegalStateException(
                        cause.getMessage()
                                + "; it may be work enqueued earlier that failed: run again with --sync-check"
                                + " to learn which",
                        cause);
    }

    /** Records an event of the vendor. */
    long record(long stream) {
        return call(() -> {
            long event = events.take();
            runtime.record(rank.ordinal, event, stream);
            clock.begin();
            return event;
        });
    }

    void await(long stream, long event) {
        run(() -> runtime.await(rank.ordinal, stream, event));
    }

    boolean isReached(long event) {
        return call(() -> runtime.isDone(rank.ordinal, event));
    }

    /** When an event that is reached was so; asked once for each. */
    long nanos(long event) {
        return call(() -> clock.end(event));
    }

    /** Nobody will ask for this event any more. */
    void reuse(long event) {
        events.give(event);
    }

    /** An event will never be known to be reached. */
    void forget() {
        clock.forget();
    }

    void renewClock() {
        run(clock::renew);
    }

    /** Returns true. */
    boolean closeStream(long handle) {
        if (!broken) {
            run(() -> runtime.destroyStream(rank.ordinal, handle));
        }
        return true;
    }

    /** Leaves everything to the end of the process if the issuing thread does not stop, or after a failure of the GPU. */
    @Override
    public void close() {
        boolean stopped = false;
        try {
            stopped = issuer.stop(STOP_DEADLINE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (stopped && !broken) {
            kernels.close();
            staging.close();
            clock.close();
            events.close();
        }
    }

    /** A kernel whose calls find this GPU chosen. */
    private final class Issued implements Kernel {
        private final Kernel kernel;

        Issued(Kernel kernel) {
            this.kernel = kernel;
        }

        @Override
        public long workspaceBytes() {
            return kernel.workspaceBytes();
        }

        @Override
        public Launch bind(Binding binding) {
            Launch launch = kernel.bind(binding);
            GpuStream stream = (GpuStream) binding.stream();
            return () -> issue(stream, launch::run);
        }
    }
}
