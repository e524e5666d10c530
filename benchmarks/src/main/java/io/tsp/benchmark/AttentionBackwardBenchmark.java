package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.TrainingOp.AttentionBackward;
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

/**
 * Gradients of causal flash attention of one sequence of 8 heads. 10 d FLOPs for each visible pair of query and key, in
 * each head: 2 d for each of the products Q K^T, dO V^T, dS K, dS^T Q and P^T dO, whatever the kernel computes twice.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class AttentionBackwardBenchmark {
    private static final int HEADS = 8;

    @Param({"BF16", "F32"})
    private DType dtype = DType.BF16;

    @Param({"64", "128"})
    private int headDim;

    @Param("4096")
    private int seq;

    @Param("2")
    private int threads;

    private Workbench bench;
    private AttentionBackward op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        bench = new Workbench(threads);
        Attention forward = forward();
        bench.bind(forward).run();
        AttentionReference.requireRight(forward, bench);
        op = new AttentionBackward(
                forward,
                bench.normal("dOut", dtype, 1, seq, HEADS, headDim),
                bench.zeros("dQ", dtype, seq, HEADS, headDim),
                bench.zeros("dK", DType.F32, seq, HEADS, headDim),
                bench.zeros("dV", DType.F32, seq, HEADS, headDim),
                false);
        launch = bench.bind(op);
        launch.run();
        AttentionBackwardReference.requireRight(op, bench);
        rate.perCall(10.0 * headDim * HEADS * seq * (seq + 1) / 2, () -> bench.peakGflops(dtype));
    }

    private Attention forward() {
        List<Chunk> chunks = List.of(new Chunk(0, seq, seq, 0));
        return new Attention(
                bench.normal("q", dtype, 1, seq, HEADS, headDim),
                bench.normal("k", dtype, 1, seq, HEADS, headDim),
                bench.normal("v", dtype, 1, seq, HEADS, headDim),
                null,
                bench.zeros("out", dtype, seq, HEADS, headDim),
                bench.zeros("lse", DType.F32, seq, HEADS),
                chunks,
                chunks,
                1,
                0,
                (float) (1 / Math.sqrt(headDim)));
    }

    @Benchmark
    public Tensor backward() {
        launch.run();
        return op.dQ();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
