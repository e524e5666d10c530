package io.tsp.benchmark;

import io.tsp.ffm.Kernel;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeError;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.Openmp;
import io.tsp.ffm.generated.kernels.tsp_kernels_h;
import io.tsp.ffm.generated.kernels.tsp_launch;
import io.tsp.ffm.generated.kernels.tsp_sum_args;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What a call into a kernel library costs before it computes anything. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(3)
public class DowncallBenchmark {
    private final Arena arena = Arena.ofConfined();
    private final NativeLibraries libraries = NativeLibraries.standard();
    private final Openmp openmp = Openmp.load(libraries);
    private final Kernel sum =
            KernelTable.open(libraries.load(NativeLibrary.KERNELS_CPU), null).sum();
    private final MemorySegment args = tsp_sum_args.allocate(arena);
    private final MemorySegment launch = tsp_launch.allocate(arena);
    private final NativeError error = new NativeError(arena);

    @Setup
    public void check() {
        MemorySegment source = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 7);
        MemorySegment target = arena.allocate(ValueLayout.JAVA_FLOAT);
        tsp_sum_args.struct_size(args, (int) tsp_sum_args.sizeof());
        tsp_sum_args.dtype(args, tsp_kernels_h.TSP_F32());
        tsp_sum_args.sources(args, arena.allocateFrom(ValueLayout.ADDRESS, source));
        tsp_sum_args.source_count(args, 1);
        tsp_sum_args.target(args, target);
        tsp_launch.struct_size(launch, (int) tsp_launch.sizeof());
        tsp_launch.threads(launch, 1);

        tsp_sum_args.count(args, 1);
        sum.run(args, launch, error);
        if (target.get(ValueLayout.JAVA_FLOAT, 0) != 7) {
            throw new IllegalStateException("the sum of one number is " + target.get(ValueLayout.JAVA_FLOAT, 0));
        }
        tsp_sum_args.count(args, 0);
    }

    @TearDown
    public void close() {
        arena.close();
    }

    /** Costs nothing: what the harness itself takes. */
    @Benchmark
    public long baseline() {
        return tsp_sum_args.count(args);
    }

    /** A function without arguments that reads one field. */
    @Benchmark
    public int readField() {
        return openmp.maxThreads();
    }

    /** A kernel that checks its arguments and finds nothing to do. */
    @Benchmark
    public NativeError emptyKernel() {
        sum.run(args, launch, error);
        return error;
    }
}
