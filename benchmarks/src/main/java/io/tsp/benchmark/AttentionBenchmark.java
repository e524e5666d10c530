package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Causal flash attention of one sequence of 8 heads. 4 d FLOPs for each visible pair of query and key, in each head. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class AttentionBenchmark {
    private static final int HEADS = 8;

    @Param({"BF16", "F32"})
    private DType dtype = DType.BF16;

    @Param({"64", "128"})
    private int headDim;

    @Param({"1024", "4096"})
    private int seq;

    @Param("2")
    private int threads;

    private Workbench bench;
    private Attention op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        bench = new Workbench(threads);
        Tensor q = bench.normal("q", dtype, 1, seq, HEADS, headDim);
        Tensor k = bench.normal("k", dtype, 1, seq, HEADS, headDim);
        Tensor v = bench.normal("v", dtype, 1, seq, HEADS, headDim);
        Tensor out = bench.zeros("out", dtype, seq, HEADS, headDim);
        Tensor lse = bench.zeros("lse", DType.F32, seq, HEADS);
        List<Chunk> chunks = List.of(new Chunk(0, seq, seq, 0));
        float scale = (float) (1 / Math.sqrt(headDim));
        op = new Attention(q, k, v, null, out, lse, chunks, chunks, 1, 0, scale);
        launch = bench.bind(op);
        launch.run();
        AttentionReference.requireRight(op, bench);
        rate.perCall(4.0 * headDim * HEADS * seq * (seq + 1) / 2, () -> bench.peakGflops(dtype));
    }

    @Benchmark
    public Tensor forward() {
        launch.run();
        return op.out();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
