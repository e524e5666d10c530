package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.TrainingOp.RmsNormBackward;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
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

/** Gradients of RMSNorm of rows of 4096; dOut and dX are f32 beside any dtype. Counts the bytes that are read and written. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class RmsNormBackwardBenchmark {
    private static final int HIDDEN = 4096;
    private static final float EPSILON = 1e-5f;

    @Param({"BF16", "F32"})
    private DType dtype = DType.BF16;

    /** Many rows come from memory; few stay in the caches. */
    @Param({"8192", "512"})
    private int rows;

    /** Whether dX is added to the gradient of the residual stream, which is kept in the dtype too, as blocks do it. */
    @Param({"false", "true"})
    private boolean residual;

    @Param("2")
    private int threads;

    private Workbench bench;
    private RmsNormBackward op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        bench = new Workbench(threads);
        op = new RmsNormBackward(
                bench.normal("x", dtype, 1, rows, HIDDEN),
                bench.normal("weight", dtype, 1, HIDDEN),
                bench.normal("dOut", DType.F32, 1, rows, HIDDEN),
                bench.normal("dX", DType.F32, 1, rows, HIDDEN),
                residual ? bench.zeros("rounded", dtype, rows, HIDDEN) : null,
                bench.zeros("dWeight", DType.F32, HIDDEN),
                EPSILON,
                residual,
                false);
        launch = bench.bind(op);
        RmsNormBackwardReference.runAndRequireRight(op, bench, launch);
        long bytes = Workbench.bytesMoved(op);
        rate.perCall((double) bytes, bench.copyLimit(bytes));
    }

    @Benchmark
    public Tensor backward() {
        launch.run();
        return op.dX();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
