package io.tsp.benchmark;

import io.tsp.ffm.Dnnl;
import io.tsp.ffm.Matmul;
import io.tsp.ffm.MatmulSpec;
import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.Openmp;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** oneDNN's product with a Hugging Face weight [out, in], as the runtime calls it. The counter is GFLOP per second. */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(3)
public class MatmulBenchmark {
    private static final double GIGA = 1e9;

    /** Rows, columns and the dimension that is summed. */
    @Param({"2048x2048x2048", "2048x4096x4096", "256x2048x2048"})
    private String size;

    @Param({"F32", "BF16"})
    private Dtype dtype;

    @Param("2")
    private int threads;

    private final Arena arena = Arena.ofShared();
    private final NativeLibraries libraries = NativeLibraries.standard();
    private final Openmp openmp = Openmp.load(libraries);
    private final Dnnl dnnl = Dnnl.load(libraries, openmp);
    private MemorySegment src;
    private MemorySegment weights;
    private MemorySegment dst;
    private MemorySegment scratchpad;
    private Matmul matmul;

    /** Products are counted in units of 10^9 operations. */
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    public static class Work {
        public double gflop;

        @Setup(Level.Iteration)
        public void reset() {
            gflop = 0;
        }
    }

    @Setup
    public void check() {
        String[] sizes = size.split("x");
        long m = Long.parseLong(sizes[0]);
        long n = Long.parseLong(sizes[1]);
        long k = Long.parseLong(sizes[2]);
        matmul = prepare(m, n, k);
        src = ones(m * k);
        weights = ones(n * k);
        dst = arena.allocate(m * n * Float.BYTES, 64);
        scratchpad = arena.allocate(Math.max(1, matmul.scratchpadBytes()), 64);
        multiply(new Work());
        float last = dst.getAtIndex(ValueLayout.JAVA_FLOAT, m * n - 1);
        if (last != k) {
            throw new IllegalStateException("the product of " + k + " ones is " + last);
        }
    }

    private Matmul prepare(long m, long n, long k) {
        MatmulSpec spec = new MatmulSpec(
                m,
                n,
                k,
                Matrix.of(dtype, k),
                Matrix.transposed(dtype, k),
                Bias.NONE,
                Matrix.of(Dtype.F32, n),
                false);
        return dnnl.matmul(spec, threads);
    }

    private MemorySegment ones(long count) {
        MemorySegment segment = arena.allocate(count * dtype.bytes(), 64);
        for (long i = 0; i < count; i++) {
            switch (dtype) {
                case F32 -> segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1);
                case BF16 -> segment.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) 0x3F80);
            }
        }
        return segment;
    }

    @TearDown
    public void close() {
        matmul.close();
        dnnl.close();
        arena.close();
    }

    @Benchmark
    public MemorySegment multiply(Work work) {
        matmul.execute(src.address(), weights.address(), 0, dst.address(), scratchpad.address());
        MatmulSpec spec = matmul.spec();
        work.gflop += 2 * spec.m() * spec.n() * spec.k() / GIGA;
        return dst;
    }
}
