package io.tsp.device.gpu;

import io.tsp.device.Stream;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A marker in a stream: first asked for, then recorded by the issuing thread, then reached by the device, when it gives
 * the vendor's event back; or failed.
 */
final class GpuEvent implements Stream.Event {
    private enum State {
        ASKED,
        RECORDED,
        REACHED,
        FAILED
    }

    private final String stream;
    private final CountDownLatch recorded = new CountDownLatch(1);
    private State state = State.ASKED;
    private long handle;
    private long nanos;
    private @Nullable RuntimeException failure;

    /** @param stream what an error calls the stream */
    GpuEvent(String stream) {
        this.stream = stream;
    }

    synchronized void recorded(long handle) {
        this.handle = handle;
        state = State.RECORDED;
        recorded.countDown();
    }

    /** The vendor's event while this one is recorded and not reached. */
    synchronized long handle() {
        return handle;
    }

    /** From here on the vendor's event may be recorded again. */
    synchronized void reached(long nanos) {
        this.nanos = nanos;
        state = State.REACHED;
    }

    synchronized void fail(RuntimeException cause) {
        if (state != State.REACHED) {
            failure = cause;
            state = State.FAILED;
        }
        recorded.countDown();
    }

    synchronized boolean isSettled() {
        return state == State.REACHED || state == State.FAILED;
    }

    synchronized void throwIfFailed() {
        if (failure != null) {
            throw failure;
        }
    }

    /**
     * Makes a stream wait, which may be another device's, unless the event is reached.
     *
     * @param stream what makes it wait for a vendor's event
     */
    void holdUp(LongConsumer stream) {
        try {
            recorded.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for stream " + this.stream, e);
        }
        synchronized (this) {
            throwIfFailed();
            if (state == State.RECORDED) {
                stream.accept(handle);
            }
        }
    }

    @Override
    public synchronized long nanos() {
        throwIfFailed();
        if (state != State.REACHED) {
            throw new IllegalStateException("stream " + stream + " has not been synchronized since this event");
        }
        return nanos;
    }
}
