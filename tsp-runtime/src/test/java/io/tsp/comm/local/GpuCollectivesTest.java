package io.tsp.comm.local;

import static io.tsp.comm.local.SmallIntegers.integers;
import static io.tsp.comm.local.SmallIntegers.vectors;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.tsp.device.Stream;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The same on GPUs, whose streams are late at random. */
class GpuCollectivesTest extends LocalCollectivesTest {
    @Override
    LocalRanks.Kind kind() {
        return LocalRanks.Kind.GPU;
    }

    /** Other than on CPUs, where lanes are threads, all ranks must issue the exchanges of all lanes in one order. */
    @Override
    @Test
    void channelsDoNotMix() {
        try (LocalRanks ranks = new LocalRanks(kind(), 2)) {
            List<Tensor> keys = vectors(ranks, DType.F32, 3);
            List<Tensor> weights =
                    List.of(ranks.vector(DType.F32, integers(8, 0, 3)), ranks.vector(DType.F32, integers(9, 0, 3)));
            List<Stream> streams = new ArrayList<>();
            for (int rank = 0; rank < 2; rank++) {
                for (int channel = 0; channel < 2; channel++) {
                    Stream stream = ranks.gpus().stream(rank, channel);
                    Tensor buffer = (channel == 0 ? keys : weights).get(rank);
                    stream.enqueue(ranks.bind(rank, channel, stream, new Broadcast(ranks.group(), rank, 0, buffer)));
                    streams.add(stream);
                }
            }
            streams.forEach(stream -> stream.synchronize(LocalRanks.PATIENCE));
            assertArrayEquals(integers(0, 0, 3), ranks.read(keys.get(1)));
            assertArrayEquals(integers(8, 0, 3), ranks.read(weights.get(1)));
        }
    }
}
