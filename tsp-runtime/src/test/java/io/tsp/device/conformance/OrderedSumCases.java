package io.tsp.device.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.tsp.device.Buffer;
import io.tsp.tensor.DType;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The reduction of collectives, whose every bit is specified. */
final class OrderedSumCases {
    private static final int[] COUNTS = {0, 1, 2, 15, 16, 17, 63, 64, 65, 1021, 40_000};
    /** Elements before and behind each vector; odd, so that vectors are not aligned. */
    private static final int AROUND = 35;

    /** @param target index of the source that receives the sum; -1 for memory of its own */
    record Case(DType dtype, int sources, int target, int count) {

        /** @throws AssertionError if a bit of the sum is wrong or a byte outside of it has changed */
        void judge(Target judged, long seed) {
            int vectors = target < 0 ? sources + 1 : sources;
            Image image = values(vectors, new Random(seed ^ hashCode()));
            byte[] before = image.bytes().clone();
            try (Buffer buffer = judged.benches().getFirst().device().allocate(before.length)) {
                buffer.write(0, ByteBuffer.wrap(before));
                long[] addresses = IntStream.range(0, vectors)
                        .mapToLong(i -> buffer.address() + place(i, 0))
                        .toArray();
                long to = addresses[target < 0 ? sources : target];
                judged.orderedSum()
                        .sum(
                                dtype,
                                IntStream.range(0, sources)
                                        .mapToLong(i -> addresses[i])
                                        .toArray(),
                                to,
                                count);
                byte[] after = new byte[before.length];
                buffer.read(0, ByteBuffer.wrap(after));
                addUp(image);
                assertArrayEquals(image.bytes(), after, toString());
            }
        }

        private Image values(int vectors, Random random) {
            int bytes = place(vectors, 0);
            Image image = Image.filled(bytes, (byte) 0);
            for (int place = 0; place < bytes; place += dtype.bytes()) {
                image.set(dtype, place, random.nextGaussian() * Math.pow(10, random.nextInt(7) - 3));
            }
            return image;
        }

        /** (s0 + s1) + s2 ..., rounded to the dtype once. */
        private void addUp(Image image) {
            for (int element = 0; element < count; element++) {
                float sum = (float) image.get(dtype, place(0, element));
                for (int source = 1; source < sources; source++) {
                    sum += (float) image.get(dtype, place(source, element));
                }
                image.set(dtype, place(target < 0 ? sources : target, element), sum);
            }
        }

        private int place(int vector, int element) {
            return (AROUND + vector * (count + AROUND) + element) * dtype.bytes();
        }
    }

    private OrderedSumCases() {}

    static Stream<Case> all() {
        return Stream.of(DType.F32, DType.BF16)
                .flatMap(dtype -> IntStream.of(COUNTS)
                        .boxed()
                        .flatMap(count -> Stream.of(
                                new Case(dtype, 1, -1, count),
                                new Case(dtype, 2, 1, count),
                                new Case(dtype, 3, 2, count),
                                new Case(dtype, 4, 0, count),
                                new Case(dtype, 8, -1, count))));
    }
}
