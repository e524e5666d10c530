package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.TrainingOp.AdamW;
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

/** Steps of AdamW on f32 master weights. Counts the bytes that are read and written. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class AdamWBenchmark {
    /** Learning rate, betas, epsilon, weight decay, bias corrections of step 2, largest norm. */
    private static final float[] HYPER = {1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.19f, 0.0975f, 1};

    /** Factor on gradients, no Inf or NaN found, norm. */
    private static final float[] CLIP = {0.5f, 0, 2};

    /** Dtype of both moments. */
    @Param({"F32", "BF16"})
    private DType moments = DType.F32;

    /** Whether a bf16 weight is kept beside the master. */
    @Param({"false", "true"})
    private boolean rounded;

    /** Elements. */
    @Param("8388608")
    private int count;

    @Param("2")
    private int threads;

    private Workbench bench;
    private AdamW op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        bench = new Workbench(threads);
        op = new AdamW(
                bench.normal("parameter", DType.F32, 1, count),
                bench.normal("grad", DType.F32, 1, count),
                bench.zeros("first", moments, count),
                bench.zeros("second", moments, count),
                rounded ? bench.zeros("rounded", DType.BF16, count) : null,
                bench.zeros("hyper", DType.F32, HYPER.length),
                bench.zeros("clip", DType.F32, CLIP.length),
                true);
        bench.write(op.hyper(), HYPER);
        bench.write(op.clip(), CLIP);
        launch = bench.bind(op);
        // The first step fills the moments, the second one is checked.
        launch.run();
        AdamWReference.runAndRequireRight(op, bench, launch);
        long bytes = Workbench.bytesMoved(op);
        rate.perCall((double) bytes, bench.copyLimit(bytes));
    }

    @Benchmark
    public Tensor step() {
        launch.run();
        return op.parameter();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
