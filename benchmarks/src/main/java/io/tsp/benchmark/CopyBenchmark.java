package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.op.ComputeOp.Copy;
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

/** Copies and casts of rows of 8192 elements. Counts the bytes that are read and written. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class CopyBenchmark {
    private static final int COLUMNS = 8192;
    private static final int STEP = 1009;

    /** Dtypes of source and target. */
    @Param({"F32-F32", "F32-BF16", "BF16-F32"})
    private String cast = "";

    @Param({"8192", "128"})
    private int rows;

    @Param("2")
    private int threads;

    private Workbench bench;
    private Copy op;
    private Launch launch;

    @Setup
    public void check(Rate rate) {
        String[] dtypes = cast.split("-");
        bench = new Workbench(threads);
        Tensor source = bench.normal("source", DType.valueOf(dtypes[0]), 1, rows, COLUMNS);
        op = new Copy(source, bench.zeros("target", DType.valueOf(dtypes[1]), rows, COLUMNS));
        launch = bench.bind(op);
        launch.run();
        requireRight();
        long bytes = op.source().bytes() + op.target().bytes();
        rate.perCall((double) bytes, bench.copyLimit(bytes));
    }

    private void requireRight() {
        float[] source = bench.read(op.source());
        float[] target = bench.read(op.target());
        for (int i = 0; i < source.length; i += STEP) {
            Check.requireEqual(
                    "copy", i, target[i], Precision.of(op.target().dtype()).store(source[i]));
        }
    }

    @Benchmark
    public Tensor copy() {
        launch.run();
        return op.target();
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
