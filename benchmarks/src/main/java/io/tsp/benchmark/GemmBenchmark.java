package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.Random;
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

/** oneDNN's product with a Hugging Face weight [out, in], as programs call it: 2 M N K FLOPs. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 2)
@Fork(2)
public class GemmBenchmark {
    private static final int SAMPLES = 256;

    @Param({"BF16", "F32"})
    private DType dtype = DType.BF16;

    /** Rows, columns and the dimension that is summed. */
    @Param({"2048x4096x4096", "2048x2048x2048", "256x2048x2048"})
    private String size = "";

    @Param("2")
    private int threads;

    private Workbench bench;
    private Gemm op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        String[] sizes = size.split("x");
        int m = Integer.parseInt(sizes[0]);
        int n = Integer.parseInt(sizes[1]);
        int k = Integer.parseInt(sizes[2]);
        bench = new Workbench(threads);
        Tensor a = bench.normal("a", dtype, 1, m, k);
        Tensor weight = bench.normal("weight", dtype, 1 / Math.sqrt(k), n, k);
        op = new Gemm(a, weight, null, bench.zeros("out", DType.F32, m, n), false);
        launch = bench.bind(op);
        launch.run();
        requireRight(m, n, k);
        rate.perCall(2.0 * m * n * k, () -> bench.peakGflops(dtype));
    }

    private void requireRight(int m, int n, int k) {
        float[] a = bench.read(op.a());
        float[] weight = bench.read(op.b());
        float[] out = bench.read(op.out());
        Check check = new Check("gemm");
        Random random = new Random(m);
        for (int sample = 0; sample < SAMPLES; sample++) {
            int row = random.nextInt(m);
            int column = random.nextInt(n);
            check.compare(
                    out[row * n + column],
                    Precision.EXACT.dot(a, row * k, weight, column * k, k),
                    Precision.F32.dot(a, row * k, weight, column * k, k));
        }
        check.require();
    }

    @Benchmark
    public Tensor multiply() {
        launch.run();
        return op.out();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
