package io.tsp.comm.local;

import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Data whose sums are exact in every dtype and order, in parts of different size. */
final class SmallIntegers {
    private SmallIntegers() {}

    /** Uneven, some empty. */
    private static long partCount(int index) {
        return (index * 5L + 3) % 4;
    }

    static float[] integers(int rank, int from, long count) {
        float[] values = new float[(int) count];
        for (int i = 0; i < values.length; i++) {
            values[i] = 1 + (rank * 31 + (from + i) * 7) % 20;
        }
        return values;
    }

    static List<Tensor> parts(Tensor whole, long... counts) {
        List<Tensor> parts = new ArrayList<>();
        long first = 0;
        for (long count : counts) {
            parts.add(whole.rows(first, count));
            first += count;
        }
        return parts;
    }

    static long[] partCounts(int size) {
        return IntStream.range(0, size).mapToLong(SmallIntegers::partCount).toArray();
    }

    static List<Tensor> vectors(LocalRanks ranks, DType dtype, long count) {
        return IntStream.range(0, ranks.size())
                .mapToObj(rank -> ranks.vector(dtype, integers(rank, 0, count)))
                .toList();
    }
}
