package io.tsp.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Where NCCL puts the handle of a new communicator or window. It may do so after the call that asked for it, and once
 * more when the communicator is ready, so the place is never given back: 8 bytes each.
 */
public final class NcclHandle {
    private final MemorySegment cell = Arena.global().allocate(ValueLayout.JAVA_LONG);

    NcclHandle() {}

    MemorySegment cell() {
        return cell;
    }

    /** The handle; 0 as long as it is not there, and for a rank that is in no group. */
    public long get() {
        return (long) ValueLayout.JAVA_LONG.varHandle().getAcquire(cell, 0L);
    }
}
