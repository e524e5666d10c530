package io.tsp.comm.nccl;

import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** The first failure of a rank's exchanges, which is the cause of all others. */
final class Failures {
    private final AtomicReference<@Nullable RuntimeException> first = new AtomicReference<>();

    /** Returns whether this is the first. */
    boolean add(RuntimeException cause) {
        return first.compareAndSet(null, cause);
    }

    @Nullable
    RuntimeException first() {
        return first.get();
    }

    void throwIfAny() {
        RuntimeException cause = first.get();
        if (cause != null) {
            throw cause;
        }
    }
}
