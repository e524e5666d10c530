package io.tsp.device.gpu;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * The thread from which everything that a rank's streams do is issued, in program order. It may block where ranks meet:
 * that holds up nobody but its own rank, and all ranks come to their meetings in one order. After a failure it issues
 * nothing more.
 */
final class Issuer {
    private final BlockingQueue<Runnable> queue = new LinkedBlockingQueue<>();
    private final AtomicReference<@Nullable RuntimeException> failure = new AtomicReference<>();
    private final AtomicLong finished = new AtomicLong();
    private final Thread thread;
    private volatile boolean stopping;

    Issuer(String name) {
        thread = Thread.ofPlatform().name(name).daemon().start(this::work);
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

    /** Does something on this thread unless something has failed. */
    void attempt(Runnable work) {
        queue.add(() -> {
            if (failure.get() == null) {
                try {
                    work.run();
                } catch (RuntimeException e) {
                    fail(e);
                } catch (Error e) {
                    fail(new IllegalStateException(thread.getName() + " failed: " + e, e));
                }
            }
        });
    }

    /** Does something on this thread in any case; it must not throw. */
    void always(Runnable work) {
        queue.add(work);
    }

    /** Remembers the first failure and returns it. */
    RuntimeException fail(RuntimeException cause) {
        RuntimeException first = failure.compareAndExchange(null, cause);
        return first == null ? cause : first;
    }

    @Nullable
    RuntimeException failure() {
        return failure.get();
    }

    /** How much work this thread has left behind, done or not. */
    long finished() {
        return finished.get();
    }

    /** Waits until everything that was given so far is behind this thread; false if it takes longer. */
    boolean drain(Duration deadline) throws InterruptedException {
        CountDownLatch drained = new CountDownLatch(1);
        always(drained::countDown);
        return drained.await(deadline.toNanos(), TimeUnit.NANOSECONDS);
    }

    /** Drops what is queued; returns whether the thread has ended. */
    boolean stop(Duration deadline) throws InterruptedException {
        stopping = true;
        queue.clear();
        queue.add(() -> {});
        return thread.join(deadline);
    }
}
