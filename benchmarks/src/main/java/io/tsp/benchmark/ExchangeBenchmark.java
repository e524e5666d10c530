package io.tsp.benchmark;

import io.tsp.comm.Communicator;
import io.tsp.comm.local.LocalCommunicator;
import io.tsp.comm.local.LocalHub;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.mesh.Group;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
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

/** Exchanges of f32 between ranks that are threads of this process, from the first rank's start to the last one's end. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class ExchangeBenchmark {
    private static final Duration DEADLINE = Duration.ofSeconds(30);

    @Param({"BROADCAST", "ALL_GATHER", "REDUCE_SCATTER", "ALL_REDUCE", "ALL_TO_ALL", "SEND_RECEIVE"})
    private Collective collective = Collective.BROADCAST;

    @Param("4")
    private int ranks;

    /** Size in the sense of nccl-tests: of the whole buffer that a rank has in the end, or had in the beginning. */
    @Param({"65536", "4194304", "67108864"})
    private long bytes;

    private Workbench bench;
    private final List<Tensor> buffers = new ArrayList<>();
    private final List<Tensor> results = new ArrayList<>();
    private final List<Stream> streams = new ArrayList<>();
    private final List<Launch> launches = new ArrayList<>();

    @Setup
    public void check(Rate rate) {
        bench = new Workbench(1);
        Group group = new Group("ranks", IntStream.range(0, ranks).boxed().toList());
        LocalHub hub = new LocalHub(DEADLINE);
        int count = Math.toIntExact(bytes / Float.BYTES / ranks * ranks);
        for (int rank = 0; rank < ranks; rank++) {
            Tensor buffer = bench.zeros("buffer " + rank, DType.F32, count);
            Tensor second = bench.zeros("second " + rank, DType.F32, count);
            Stream stream = bench.openStream("rank-" + rank);
            Communicator communicator = new LocalCommunicator(hub, bench::transfers);
            launches.add(communicator.bind(
                    collective.op(group, rank, buffer, second),
                    new Communicator.Binding(0, stream, bench::address, 0, collective.toString())));
            streams.add(stream);
            buffers.add(buffer);
            results.add(collective.hasSecondBuffer() ? second : buffer);
        }
        requireRight(count);
        rate.perCall((double) count * Float.BYTES, Rate.NO_LIMIT);
    }

    private void requireRight(int count) {
        float[] elements = new float[count];
        for (int rank = 0; rank < ranks; rank++) {
            for (int i = 0; i < count; i++) {
                elements[i] = Collective.before(rank, i);
            }
            bench.write(buffers.get(rank), elements);
        }
        exchange();
        for (int rank = 0; rank < ranks; rank++) {
            float[] result = bench.read(results.get(rank));
            for (int i = 0; i < count; i++) {
                Check.requireEqual(
                        collective + " on rank " + rank, i, result[i], collective.after(rank, i, ranks, count));
            }
        }
        // Sums that are repeated in place must not grow to infinity.
        buffers.forEach(buffer -> bench.write(buffer, new float[count]));
    }

    @Benchmark
    public List<Tensor> exchange() {
        for (int rank = 0; rank < ranks; rank++) {
            streams.get(rank).enqueue(launches.get(rank));
        }
        streams.forEach(stream -> stream.synchronize(DEADLINE));
        return results;
    }

    @TearDown
    public void close() {
        bench.close();
    }
}
