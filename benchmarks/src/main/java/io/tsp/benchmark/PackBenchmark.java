package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.ComputeOp.PackPanels;
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

/** Packing of Hugging Face weights into the panels of the gated MLP. Counts the bytes that are read and written. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class PackBenchmark {
    private static final int COLUMNS = (int) Panels.COLUMNS;
    private static final int FEATURES = (int) Panels.FEATURES;
    private static final int STEP = 1009;

    /** What is packed. */
    public enum Layout {
        GATE_UP,
        DOWN
    }

    @Param({"GATE_UP", "DOWN"})
    private Layout layout = Layout.GATE_UP;

    /** Dtypes of weights and panels. */
    @Param({"BF16-BF16", "F32-BF16", "F32-F32"})
    private String cast = "";

    /** Hidden and intermediate size, multiples of 64. */
    @Param("4096x7168")
    private String size = "";

    @Param("2")
    private int threads;

    private Workbench bench;
    private PackPanels op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        DType from = DType.valueOf(cast.split("-")[0]);
        DType to = DType.valueOf(cast.split("-")[1]);
        int hidden = Integer.parseInt(size.split("x")[0]);
        int intermediate = Integer.parseInt(size.split("x")[1]);
        bench = new Workbench(threads);
        op = switch (layout) {
            case GATE_UP ->
                new PackPanels(
                        bench.normal("gate", from, 1, intermediate, hidden),
                        bench.normal("up", from, 1, intermediate, hidden),
                        bench.zeros("panels", to, Panels.gateUpCount(intermediate, hidden)),
                        0);
            case DOWN ->
                new PackPanels(
                        bench.normal("down", from, 1, hidden, intermediate),
                        null,
                        bench.zeros("panels", to, Panels.downCount(intermediate, hidden)),
                        0);
        };
        launch = bench.bind(op);
        launch.run();
        requireRight();
        long matrices = layout == Layout.GATE_UP ? 2 : 1;
        long bytes = matrices * op.source().bytes() + op.panels().bytes();
        rate.perCall((double) bytes, bench.copyLimit(bytes));
    }

    private void requireRight() {
        float[] source = bench.read(op.source());
        float[] panels = bench.read(op.panels());
        int depth = (int) op.source().dim(1);
        int rowsOfPanel = layout == Layout.GATE_UP ? FEATURES : COLUMNS;
        Precision precision = Precision.of(op.panels().dtype());
        for (int i = 0; i < source.length; i += STEP) {
            int row = i / depth;
            int k = i % depth;
            int inPanel = WeightPanel.place(k, row % rowsOfPanel, op.panels().dtype(), depth, layout == Layout.GATE_UP);
            int place = row / rowsOfPanel * depth * COLUMNS + inPanel;
            Check.requireEqual("packing", place, panels[place], precision.store(source[i]));
        }
    }

    @Benchmark
    public Tensor pack() {
        launch.run();
        return op.panels();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
