package io.tsp.comm.local;

import static io.tsp.comm.local.SmallIntegers.integers;
import static io.tsp.comm.local.SmallIntegers.partCounts;
import static io.tsp.comm.local.SmallIntegers.parts;
import static io.tsp.comm.local.SmallIntegers.vectors;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means wrong sums, or sums that depend on who comes first. */
class LocalReductionsTest {
    /** What ranks run on. */
    LocalRanks.Kind kind() {
        return LocalRanks.Kind.CPU;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5})
    void reduceScatterSumsOwnPartsAndKeepsTheOthers(int size) {
        try (LocalRanks ranks = new LocalRanks(kind(), size)) {
            long[] counts = partCounts(size);
            long total = Arrays.stream(counts).sum();
            List<Tensor> buffers = vectors(ranks, DType.F32, total);
            ranks.run(rank -> new ReduceScatter(ranks.group(), rank, parts(buffers.get(rank), counts)));
            float[] sums = sums(size, total);
            for (int rank = 0; rank < size; rank++) {
                float[] expected = integers(rank, 0, total);
                Tensor own = parts(buffers.get(rank), counts).get(rank);
                int from = (int) own.byteOffset() / 4;
                System.arraycopy(sums, from, expected, from, (int) own.count());
                assertArrayEquals(expected, ranks.read(buffers.get(rank)));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5})
    void allReduceSumsEverywhere(int size) {
        try (LocalRanks ranks = new LocalRanks(kind(), size)) {
            for (long count : new long[] {1, 3, 4, 17, 1000}) {
                List<Tensor> buffers = vectors(ranks, DType.F32, count);
                ranks.run(rank -> new AllReduce(ranks.group(), rank, buffers.get(rank)));
                for (Tensor buffer : buffers) {
                    assertArrayEquals(sums(size, count), ranks.read(buffer));
                }
            }
        }
    }

    private static float[] sums(int size, long count) {
        float[] sums = new float[(int) count];
        for (int rank = 0; rank < size; rank++) {
            for (int i = 0; i < count; i++) {
                sums[i] += integers(rank, 0, count)[i];
            }
        }
        return sums;
    }

    /** The sum starts with the rank after the destination and ends with the destination, in fp32, rounded once. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void reductionsAreBitExactInRingOrder(DType dtype) {
        int size = 5;
        int count = 64;
        Random random = new Random(7);
        float[][] values = new float[size][count];
        for (float[] ofRank : values) {
            for (int i = 0; i < count; i++) {
                // Large numbers that cancel each other take small ones with them, or not, depending on the order.
                float magnitude = random.nextBoolean() ? 1 << 25 : 1 + random.nextInt(8) / 8f;
                ofRank[i] = random.nextBoolean() ? magnitude : -magnitude;
            }
        }
        try (LocalRanks ranks = new LocalRanks(kind(), size)) {
            List<Tensor> buffers = new ArrayList<>();
            for (float[] ofRank : values) {
                buffers.add(ranks.vector(dtype, ofRank));
            }
            ranks.run(rank -> new AllReduce(ranks.group(), rank, buffers.get(rank)));
            float[] expected = new float[count];
            float[] inRankOrder = new float[count];
            for (int i = 0; i < count; i++) {
                int destination = destination(i, size, count);
                expected[i] = sum(values, i, destination + 1, dtype);
                inRankOrder[i] = sum(values, i, 0, dtype);
            }
            for (Tensor buffer : buffers) {
                assertArrayEquals(expected, ranks.read(buffer));
            }
            assertFalse(Arrays.equals(expected, inRankOrder), "the order makes no difference to these values");
        }
    }

    private static int destination(int element, int size, int count) {
        for (int rank = 0; rank < size; rank++) {
            if (element < (rank + 1) * count / size) {
                return rank;
            }
        }
        throw new IllegalArgumentException("no owner of element " + element);
    }

    private static float sum(float[][] values, int element, int first, DType dtype) {
        float total = values[first % values.length][element];
        for (int i = 1; i < values.length; i++) {
            total += values[(first + i) % values.length][element];
        }
        return dtype == DType.BF16 ? LocalRanks.round(total) : total;
    }
}
