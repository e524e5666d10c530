package io.tsp.benchmark;

import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.time.Duration;
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

/** Whether a transfer hides behind a matrix product: each alone, one behind the other, and both at once. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class OverlapBenchmark {
    private static final Duration DEADLINE = Duration.ofSeconds(60);

    /** Rows, columns and the dimension that is summed, of the product in bf16. */
    @Param("4096x4096x4096")
    private String size = "";

    /** Bytes that are copied. */
    @Param("134217728")
    private long bytes;

    @Param("1")
    private int threads;

    private Workbench bench;
    private Stream compute;
    private Stream copies;
    private Launch product;
    private Launch onCompute;
    private Launch onCopies;
    private Tensor source;
    private Tensor target;

    @Setup
    public void check() {
        String[] sizes = size.split("x");
        int m = Integer.parseInt(sizes[0]);
        int n = Integer.parseInt(sizes[1]);
        int k = Integer.parseInt(sizes[2]);
        bench = new Workbench(threads);
        compute = bench.openStream("compute");
        copies = bench.openStream("copies");
        Tensor a = bench.normal("a", DType.BF16, 1, m, k);
        Tensor weight = bench.normal("weight", DType.BF16, 1 / Math.sqrt(k), n, k);
        product = bench.bind(new Gemm(a, weight, null, bench.zeros("out", DType.BF16, m, n), false), compute);
        source = bench.normal("source", DType.F32, 1, bytes / Float.BYTES);
        target = bench.zeros("target", DType.F32, bytes / Float.BYTES);
        onCompute = copy(bench.transfers(compute));
        onCopies = copy(bench.transfers(copies));
        overlapped();
        float last = bench.read(source.rows(source.count() - 1, 1))[0];
        Check.requireEqual("copy", source.count() - 1, bench.read(target.rows(source.count() - 1, 1))[0], last);
    }

    private Launch copy(Transfers transfers) {
        return () -> transfers.copy(bench.address(target), bench.address(source), source.bytes());
    }

    private Stream run(Stream stream, Launch first, Launch second) {
        stream.enqueue(first);
        stream.enqueue(second);
        stream.synchronize(DEADLINE);
        return stream;
    }

    @Benchmark
    public Stream product() {
        compute.enqueue(product);
        compute.synchronize(DEADLINE);
        return compute;
    }

    @Benchmark
    public Stream transfer() {
        copies.enqueue(onCopies);
        copies.synchronize(DEADLINE);
        return copies;
    }

    @Benchmark
    public Stream serial() {
        return run(compute, product, onCompute);
    }

    @Benchmark
    public Stream overlapped() {
        copies.enqueue(onCopies);
        compute.enqueue(product);
        compute.synchronize(DEADLINE);
        copies.synchronize(DEADLINE);
        return copies;
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
