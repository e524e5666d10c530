package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.Panels;
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

/** The fused gated MLP on packed weights: 6 T h f FLOPs. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 3)
@Measurement(iterations = 5, time = 3)
@Fork(2)
public class GatedMlpBenchmark {
    @Param({"BF16", "F32"})
    private DType dtype = DType.BF16;

    /** Tokens, hidden size and intermediate size; the last two multiples of 64. */
    @Param({"2048x4096x14336", "1024x2048x5632", "256x4096x14336"})
    private String size = "";

    @Param("2")
    private int threads;

    private Workbench bench;
    private GatedMlp op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        String[] sizes = size.split("x");
        int tokens = Integer.parseInt(sizes[0]);
        int hidden = Integer.parseInt(sizes[1]);
        int intermediate = Integer.parseInt(sizes[2]);
        bench = new Workbench(threads);
        op = new GatedMlp(
                bench.normal("x", dtype, 1, tokens, hidden),
                bench.normal("gate-up", dtype, 1 / Math.sqrt(hidden), Panels.gateUpCount(intermediate, hidden)),
                bench.normal("down", dtype, 1 / Math.sqrt(intermediate), Panels.downCount(intermediate, hidden)),
                bench.zeros("y", DType.F32, tokens, hidden),
                null,
                intermediate,
                false);
        launch = bench.bind(op);
        launch.run();
        requireRight(tokens, hidden);
        rate.perCall(6.0 * tokens * hidden * intermediate, () -> bench.peakGflops(dtype));
    }

    private void requireRight(int tokens, int hidden) {
        Check check = new Check("gated MLP");
        int panels = hidden / (int) Panels.COLUMNS;
        for (int token : new int[] {0, tokens - 1}) {
            GatedMlpReference exact = new GatedMlpReference(op, bench, token, Precision.EXACT);
            GatedMlpReference plain = new GatedMlpReference(op, bench, token, Precision.of(dtype));
            float[] y = bench.read(op.y().rows(token, 1));
            for (int panel : new int[] {0, panels / 2, panels - 1}) {
                double[] exactOutput = exact.output(panel);
                double[] plainOutput = plain.output(panel);
                for (int i = 0; i < exactOutput.length; i++) {
                    check.compare(y[panel * exactOutput.length + i], exactOutput[i], plainOutput[i]);
                }
            }
        }
        check.require();
    }

    @Benchmark
    public Tensor forward() {
        launch.run();
        return op.y();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
