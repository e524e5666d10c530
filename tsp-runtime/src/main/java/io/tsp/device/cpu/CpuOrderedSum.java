package io.tsp.device.cpu;

import io.tsp.device.OrderedSum;
import io.tsp.ffm.Kernel;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeError;
import io.tsp.ffm.generated.kernels.tsp_kernels_h;
import io.tsp.ffm.generated.kernels.tsp_launch;
import io.tsp.ffm.generated.kernels.tsp_sum_args;
import io.tsp.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The kernel table's ordered sum, on the thread of the exchange that needs it. */
public final class CpuOrderedSum implements OrderedSum {
    private final Kernel kernel;

    public CpuOrderedSum(KernelTable table) {
        kernel = table.sum();
    }

    @Override
    public void sum(DType dtype, long[] sources, long target, long count) {
        if (count == 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment args = tsp_sum_args.allocate(arena);
            tsp_sum_args.struct_size(args, Math.toIntExact(tsp_sum_args.sizeof()));
            tsp_sum_args.dtype(args, dtype == DType.BF16 ? tsp_kernels_h.TSP_BF16() : tsp_kernels_h.TSP_F32());
            tsp_sum_args.sources(args, arena.allocateFrom(ValueLayout.JAVA_LONG, sources));
            tsp_sum_args.target(args, MemorySegment.ofAddress(target));
            tsp_sum_args.count(args, count);
            tsp_sum_args.source_count(args, sources.length);
            MemorySegment launch = tsp_launch.allocate(arena);
            tsp_launch.struct_size(launch, Math.toIntExact(tsp_launch.sizeof()));
            tsp_launch.threads(launch, 1);
            kernel.run(args, launch, new NativeError(arena));
        }
    }
}
