package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.Panels;
import io.tsp.op.TrainingOp.GatedMlpBackward;
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

/**
 * Gradients of the fused gated MLP on packed weights but those of the weights, which are plain GEMMs. 6 T h f FLOPs: 2
 * for each of the products dY Wd, dGate Wg and dUp Wu. The 4 T h f of computing pre-activations again are not counted, so
 * that without saved ones three fifths of the peak are the most there can be.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 1, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class GatedMlpBackwardBenchmark {
    @Param({"BF16", "F32"})
    private DType dtype = DType.BF16;

    /** Tokens, hidden size and intermediate size; the last two multiples of 64. */
    @Param({"1024x2048x5632", "256x4096x14336"})
    private String size = "";

    /** Whether forward has kept the pre-activations. */
    @Param({"true", "false"})
    private boolean saved;

    @Param("2")
    private int threads;

    private Workbench bench;
    private GatedMlpBackward op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        String[] sizes = size.split("x");
        int tokens = Integer.parseInt(sizes[0]);
        int hidden = Integer.parseInt(sizes[1]);
        int intermediate = Integer.parseInt(sizes[2]);
        bench = new Workbench(threads);
        Tensor x = bench.normal("x", dtype, 1, tokens, hidden);
        Tensor gateUp = bench.normal("gate-up", dtype, 1 / Math.sqrt(hidden), Panels.gateUpCount(intermediate, hidden));
        Tensor down = bench.normal("down", dtype, 1 / Math.sqrt(intermediate), Panels.downCount(intermediate, hidden));
        op = new GatedMlpBackward(
                x,
                gateUp,
                down,
                bench.normal("dY", dtype, 1, tokens, hidden),
                saved ? preActivations(x, gateUp, down, intermediate) : null,
                bench.zeros("hidden", dtype, tokens, intermediate),
                bench.zeros("dGate", dtype, tokens, intermediate),
                bench.zeros("dUp", dtype, tokens, intermediate),
                bench.zeros("dX", DType.F32, tokens, hidden),
                intermediate,
                false);
        launch = bench.bind(op);
        launch.run();
        GatedMlpBackwardReference.requireRight(op, bench);
        rate.perCall(6.0 * tokens * hidden * intermediate, () -> bench.peakGflops(dtype));
    }

    /** What the forward kernel keeps. */
    private Tensor preActivations(Tensor x, Tensor gateUp, Tensor down, int intermediate) {
        Tensor y = bench.zeros("y", DType.F32, x.dim(0), x.dim(1));
        Tensor kept = bench.zeros("saved", dtype, x.dim(0), 2L * intermediate);
        bench.bind(new GatedMlp(x, gateUp, down, y, kept, intermediate, false)).run();
        return kept;
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
