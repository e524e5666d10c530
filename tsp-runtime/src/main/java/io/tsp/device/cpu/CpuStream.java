package io.tsp.device.cpu;

import io.tsp.device.DeadlineException;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A platform thread with a queue. After a failure the rest of the queue is skipped; markers carry the failure to the
 * streams that wait for them, so that everything stops and the first cause is what the host sees.
 */
final class CpuStream implements Stream {
    private final BlockingQueue<Runnable> queue = new LinkedBlockingQueue<>();
    private final Thread thread;
    private final String name;
    private @Nullable Throwable failure;
    private volatile boolean stopping;
    private final AtomicLong finished = new AtomicLong();

    CpuStream(String name) {
        this.name = name;
        this.thread = Thread.ofPlatform().name(name).daemon().start(this::work);
    }

    private void work() {
        try {
            while (!stopping) {
                queue.take().run();
                finished.incrementAndGet();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public long handle() {
        return 0;
    }

    @Override
    public void enqueue(Launch launch) {
        enqueueHost(launch::run);
    }

    @Override
    public void enqueueHost(Runnable work) {
        queue.add(() -> attempt(work));
    }

    private void attempt(Runnable work) {
        if (failure == null) {
            try {
                work.run();
            } catch (CompletionException e) {
                failure = e.getCause();
            } catch (RuntimeException | Error e) {
                failure = e;
            }
        }
    }

    @Override
    public Event record() {
        Marker marker = new Marker();
        queue.add(() -> marker.reached(failure));
        return marker;
    }

    @Override
    public void await(Event event) {
        Marker marker = (Marker) event;
        queue.add(() -> attempt(marker.future::join));
    }

    @Override
    public void synchronize(Duration deadline) {
        Marker end = (Marker) record();
        long before = -1;
        while (!reached(end, deadline)) {
            if (finished.get() == before) {
                throw new DeadlineException("stream " + name + " finished no work for " + deadline.toMillis() / 1000.0
                        + " s; raise --deadline if one operation may last that long");
            }
            before = finished.get();
        }
    }

    private boolean reached(Marker marker, Duration deadline) {
        try {
            marker.future.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
            return true;
        } catch (TimeoutException e) {
            return false;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new IllegalStateException("stream " + name + " failed", e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for stream " + name, e);
        }
    }

    @Override
    public boolean stop(Duration deadline) {
        stopping = true;
        queue.clear();
        queue.add(() -> {});
        try {
            return thread.join(deadline);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static final class Marker implements Event {
        private final CompletableFuture<Long> future = new CompletableFuture<>();

        void reached(@Nullable Throwable failure) {
            if (failure == null) {
                future.complete(SystemClock.nanos());
            } else {
                future.completeExceptionally(failure);
            }
        }

        @Override
        public long nanos() {
            return future.join();
        }
    }
}
