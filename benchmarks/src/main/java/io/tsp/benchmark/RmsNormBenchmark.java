package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.ComputeOp.RmsNorm;
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

/** RMSNorm of rows of 4096, alone and with the residual addition. Counts the bytes that are read and written. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class RmsNormBenchmark {
    private static final int HIDDEN = 4096;
    private static final int SAMPLED_ROWS = 64;
    private static final float EPSILON = 1e-5f;

    @Param({"BF16", "F32"})
    private DType dtype = DType.BF16;

    /** Many rows come from memory; few stay in the caches. */
    @Param({"8192", "512"})
    private int rows;

    /** Whether an f32 delta is added first and the sum is kept. */
    @Param({"false", "true"})
    private boolean residual;

    @Param("2")
    private int threads;

    private Workbench bench;
    private RmsNorm op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        bench = new Workbench(threads);
        op = new RmsNorm(
                bench.normal("x", dtype, 1, rows, HIDDEN),
                residual ? bench.normal("delta", DType.F32, 1, rows, HIDDEN) : null,
                bench.normal("weight", dtype, 1, HIDDEN),
                residual ? bench.zeros("sum", dtype, rows, HIDDEN) : null,
                bench.zeros("out", dtype, rows, HIDDEN),
                EPSILON);
        launch = bench.bind(op);
        launch.run();
        requireRight();
        long bytes = Workbench.bytesMoved(op);
        rate.perCall((double) bytes, bench.copyLimit(bytes));
    }

    private void requireRight() {
        float[] weight = bench.read(op.weight());
        Check check = new Check("rms-norm");
        for (int sample = 0; sample < SAMPLED_ROWS; sample++) {
            int row = (int) ((long) sample * (rows - 1) / (SAMPLED_ROWS - 1));
            float[] out = bench.read(op.out().rows(row, 1));
            double[] exact = reference(row, weight, Precision.EXACT);
            double[] plain = reference(row, weight, Precision.of(dtype));
            for (int i = 0; i < HIDDEN; i++) {
                check.compare(out[i], exact[i], plain[i]);
            }
        }
        check.require();
    }

    private double[] reference(int row, float[] weight, Precision precision) {
        double[] x = input(row, precision);
        double squares = 0;
        for (double value : x) {
            squares = precision.step(squares + precision.step(value * value));
        }
        double factor = precision.step(1 / Math.sqrt(squares / HIDDEN + EPSILON));
        for (int i = 0; i < HIDDEN; i++) {
            x[i] = precision.store(precision.store(x[i] * factor) * weight[i]);
        }
        return x;
    }

    private double[] input(int row, Precision precision) {
        float[] x = bench.read(op.x().rows(row, 1));
        Tensor delta = op.delta();
        float[] added = delta == null ? new float[HIDDEN] : bench.read(delta.rows(row, 1));
        double[] sum = new double[HIDDEN];
        for (int i = 0; i < HIDDEN; i++) {
            sum[i] = precision.store((double) x[i] + added[i]);
        }
        return sum;
    }

    @Benchmark
    public Tensor norm() {
        launch.run();
        return op.out();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
