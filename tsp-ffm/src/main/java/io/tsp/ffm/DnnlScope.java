package io.tsp.ffm;

import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_invalid_arguments;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_out_of_memory;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_success;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_unimplemented;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;

/** Owns oneDNN objects, and destroys them in the reverse of the order in which they were created. */
final class DnnlScope implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final Deque<Runnable> destroyers = new ArrayDeque<>();

    /** Writes a new object's handle to {@code out} and returns a {@code dnnl_status_t}. */
    interface Creator {
        int create(MemorySegment out);
    }

    /** Destroys the object and returns a {@code dnnl_status_t}. */
    interface Destroyer {
        int destroy(MemorySegment handle);
    }

    /** Creates an object that lives as long as this scope. */
    MemorySegment create(String function, Creator creator, Destroyer destroyer) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.ADDRESS);
            check(creator.create(out), function);
            MemorySegment handle = out.get(ValueLayout.ADDRESS, 0);
            destroyers.push(() -> destroyer.destroy(handle));
            return handle;
        }
    }

    /** Memory that lives as long as this scope. */
    Arena arena() {
        return arena;
    }

    /** Throws unless {@code status} is {@code dnnl_success}. */
    static void check(int status, String function) {
        if (status == dnnl_success()) {
            return;
        }
        if (status == dnnl_unimplemented()) {
            throw new NativeException(
                    Status.UNSUPPORTED, function, "oneDNN has no implementation for this on this processor");
        }
        if (status == dnnl_out_of_memory()) {
            throw new NativeException(Status.OUT_OF_MEMORY, function, "oneDNN could not allocate");
        }
        Status mapped = status == dnnl_invalid_arguments() ? Status.INVALID_ARGUMENT : Status.INTERNAL;
        throw new NativeException(mapped, function, "oneDNN status " + status + "; ONEDNN_VERBOSE=all prints why");
    }

    @Override
    public void close() {
        while (!destroyers.isEmpty()) {
            destroyers.pop().run();
        }
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
