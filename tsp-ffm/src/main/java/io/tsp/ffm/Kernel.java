package io.tsp.ffm;

import io.tsp.ffm.generated.kernels.tsp_kernel;
import java.lang.foreign.MemorySegment;

/**
 * One entry of a {@link KernelTable}: a kernel and the scratch memory it needs. All kernels share one C signature; what
 * differs is the struct of arguments, which {@code tsp_kernels.h} names beside the entry.
 *
 * <p>Safe for use by several threads, each with its own structs.
 */
public final class Kernel {
    private final String name;
    private final MemorySegment run;
    private final MemorySegment workspaceBytes;

    Kernel(String name, MemorySegment run, MemorySegment workspaceBytes) {
        this.name = name;
        this.run = run;
        this.workspaceBytes = workspaceBytes;
    }

    /** The entry's name in the table, such as {@code attention_forward}. */
    public String name() {
        return name;
    }

    /**
     * Bytes of workspace that {@link #run} needs for these arguments.
     *
     * @param args the kernel's struct of arguments; data pointers are not followed
     * @param launch a {@code tsp_launch} whose {@code threads} is set
     */
    public long workspaceBytes(MemorySegment args, MemorySegment launch) {
        return tsp_kernel.workspace_bytes.invoke(workspaceBytes, args, launch);
    }

    /**
     * Runs the kernel: on a CPU until it is done, on a GPU until it is enqueued.
     *
     * @param args the kernel's struct of arguments
     * @param launch a {@code tsp_launch} with threads, stream and workspace
     * @param error the calling thread's
     * @throws NativeException if the kernel refuses its arguments or fails
     */
    public void run(MemorySegment args, MemorySegment launch, NativeError error) {
        error.check(tsp_kernel.run.invoke(run, args, launch, error.segment()), name);
    }
}
