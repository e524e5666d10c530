package io.tsp.device.kernels;

import io.tsp.ffm.Kernel;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeError;
import io.tsp.ffm.generated.kernels.tsp_launch;
import io.tsp.ffm.generated.kernels.tsp_sum_args;
import io.tsp.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The ordered sum of a kernel table, for exchanges: their addresses are known only when ranks have met. */
public final class TableSum {
    private final Kernel kernel;

    public TableSum(KernelTable table) {
        kernel = table.sum();
    }

    /**
     * target = ((s0 + s1) + s2) + ..., fp32, rounded once.
     *
     * @param stream the vendor's queue, or 0 to do it now on this thread
     * @param sources addresses, in the order of the sum; target may be one of them
     */
    public void sum(long stream, DType dtype, long[] sources, long target, long count) {
        if (count == 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment args = tsp_sum_args.allocate(arena);
            tsp_sum_args.struct_size(args, Math.toIntExact(tsp_sum_args.sizeof()));
            tsp_sum_args.dtype(args, Structs.dtype(dtype));
            tsp_sum_args.sources(args, arena.allocateFrom(ValueLayout.JAVA_LONG, sources));
            tsp_sum_args.target(args, MemorySegment.ofAddress(target));
            tsp_sum_args.count(args, count);
            tsp_sum_args.source_count(args, sources.length);
            MemorySegment launch = tsp_launch.allocate(arena);
            tsp_launch.struct_size(launch, Math.toIntExact(tsp_launch.sizeof()));
            tsp_launch.threads(launch, 1);
            tsp_launch.stream(launch, MemorySegment.ofAddress(stream));
            kernel.run(args, launch, new NativeError(arena));
        }
    }
}
