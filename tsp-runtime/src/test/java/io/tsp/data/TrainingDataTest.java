package io.tsp.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that a run sees sequences twice or never, or goes on after a stop with other ones. */
class TrainingDataTest {
    private static final int SEQ = 7;

    @TempDir
    Path directory;

    /** The sequence that a row holds, as all sequences of the tests' stores differ. */
    private record Row(List<Integer> ids, List<Integer> labels, List<Integer> positions, List<Integer> kvStart) {}

    @Test
    void anEpochHoldsEverySequenceOnceInAnOrderOfItsOwn() throws IOException {
        try (TokenStore store = store(1000)) {
            TrainingData data = TrainingData.of(store, SEQ, 5, 0.1);
            int[] tokens = tokens(store);
            int count = 1000 / SEQ - 15;
            assertEquals(count, data.sequences());
            assertEquals((long) count * SEQ, data.tokens());
            Set<List<Integer>> expected = new HashSet<>();
            for (int i = 0; i < count; i++) {
                expected.add(ids(tokens, i));
            }
            assertEquals(count, expected.size());
            List<List<Integer>> first = epoch(data, 0);
            List<List<Integer>> second = epoch(data, 1);
            assertEquals(expected, new HashSet<>(first));
            assertEquals(expected, new HashSet<>(second));
            assertEquals(count, second.size());
            assertNotEquals(first, second);
            assertNotEquals(first, epoch(TrainingData.of(store, SEQ, 6, 0.1), 0));
            assertEquals(second, epoch(TrainingData.of(store, SEQ, 5, 0.1), 1));
        }
    }

    /**
     * Golden: another order would make every stopped run go on with sequences that it has seen. The numbers are those of
     * the specifications of java.util.Random and SplitMix64 written down in Python.
     */
    @Test
    void theOrderIsTheSameOnEveryMachineForEver() {
        assertArrayEquals(new int[] {0}, TrainingData.shuffled(1, 3, 9));
        assertEquals(
                "[52, 22, 83, 71, 96, 70, 43, 25]",
                Arrays.toString(Arrays.copyOf(TrainingData.shuffled(100, 0, 0), 8)));
        assertEquals(
                "[13, 15, 50, 71, 37, 87, 7, 88]", Arrays.toString(Arrays.copyOf(TrainingData.shuffled(100, 0, 1), 8)));
        assertEquals(
                "[77, 98, 31, 30, 27, 76, 74, 96]",
                Arrays.toString(Arrays.copyOf(TrainingData.shuffled(100, 1, 0), 8)));
    }

    /** Each of the 24 orders of 4 comes 1000 times of 24000; five deviations are 160. */
    @Test
    void ordersAreEquallyLikelyOverEpochsAndOverSeeds() {
        for (boolean epochs : new boolean[] {true, false}) {
            int[] seen = new int[4 * 4 * 4 * 4];
            for (int i = 0; i < 24_000; i++) {
                int[] order = TrainingData.shuffled(4, epochs ? 11 : i, epochs ? i : 11);
                seen[((order[0] * 4 + order[1]) * 4 + order[2]) * 4 + order[3]]++;
            }
            int[] counts = Arrays.stream(seen).filter(count -> count > 0).toArray();
            assertEquals(24, counts.length);
            for (int count : counts) {
                assertTrue(count > 840 && count < 1160, () -> count + " of 1000");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 400})
    void batchesDoNotDependOnWhatWasReadBefore(int rows) throws IOException {
        try (TokenStore store = store(1000)) {
            TrainingData data = TrainingData.of(store, SEQ, 1, 0);
            List<Row> stream = new ArrayList<>();
            while (stream.size() < 500) {
                stream.addAll(rows(data.batch(stream.size(), rows)));
            }
            for (int position : new int[] {0, 141, 142, 143, 283, 284, 99}) {
                List<Row> again = rows(TrainingData.of(store, SEQ, 1, 0).batch(position, rows));
                int known = Math.min(rows, stream.size() - position);
                assertEquals(stream.subList(position, position + known), again.subList(0, known));
            }
            assertEquals(0, data.epoch(141));
            assertEquals(1, data.epoch(142));
            assertEquals(2, data.epoch(284));
            assertEquals(stream.getFirst(), rows(data.batch(0, 1)).getFirst());
        }
    }

    @Test
    void labelsAndPositionsEndWithTheirDocument() throws IOException {
        try (TokenStore store = store(300)) {
            int[] stored = raw(store);
            TrainingData data = TrainingData.of(store, 50, 2, 0.0);
            assertTrue(data.packed());
            int ends = 0;
            for (Row row : rows(data.batch(0, 6))) {
                int first = find(tokens(store), row.ids());
                for (int i = 0; i < 50; i++) {
                    boolean last = i == 49 || stored[first + i + 1] < 0;
                    boolean starts = i == 0 || stored[first + i] < 0;
                    assertEquals(
                            last ? TokenBatch.IGNORED : row.ids().get(i + 1),
                            row.labels().get(i));
                    assertEquals(
                            starts ? 0 : row.positions().get(i - 1) + 1,
                            row.positions().get(i));
                    assertEquals(i - row.positions().get(i), row.kvStart().get(i));
                    ends += last && i < 49 ? 1 : 0;
                }
            }
            assertTrue(ends > 5, "documents end inside of sequences");
        }
    }

    @Test
    void oneDocumentIsNotPacked() throws IOException {
        Files.writeString(directory.resolve("one"), "x".repeat(30));
        try (TextTokenizer bytes = TextTokenizer.bytes(256);
                TokenStore store = TokenStore.open(directory, List.of(directory.resolve("one")), bytes, _ -> {})) {
            assertFalse(TrainingData.of(store, 10, 0, 0).packed());
        }
    }

    @Test
    void evaluationSeesWhatTrainingDoesNotAndAllOfIt() throws IOException {
        try (TokenStore store = store(1000)) {
            TrainingData data = TrainingData.of(store, SEQ, 3, 0.1);
            assertEquals(4, data.evaluationBatches(4));
            assertEquals(3, data.evaluationBatches(5));
            assertEquals(15, data.evaluationBatches(1));
            long labels = 0;
            List<List<Integer>> seen = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                TokenBatch batch = data.evaluation(i, 4);
                assertEquals(4, batch.batch());
                labels += batch.labelCount();
                rows(batch).forEach(row -> seen.add(row.ids()));
            }
            int[] tokens = tokens(store);
            for (int i = 0; i < 15; i++) {
                assertEquals(ids(tokens, 1000 / SEQ - 15 + i), seen.get(i));
            }
            assertEquals(Collections.nCopies(SEQ, 0), seen.get(15));
            long alone = 0;
            for (int i = 0; i < 15; i++) {
                alone += data.evaluation(i, 1).labelCount();
            }
            assertEquals(alone, labels);
            assertEquals(0, TrainingData.of(store, SEQ, 3, 0).evaluationBatches(4));
        }
    }

    @Test
    void whatCannotBeDividedIsRefusedInASentence() throws IOException {
        try (TokenStore store = store(1000)) {
            refused(() -> TrainingData.of(store, 0, 0, 0), "at least one token");
            refused(() -> TrainingData.of(store, 7, 0, 1), "1.0");
            refused(() -> TrainingData.of(store, 7, 0, -0.1), "-0.1");
            refused(() -> TrainingData.of(store, 7, 0, Double.NaN), "NaN");
            refused(() -> TrainingData.of(store, 1001, 0, 0), "1000 tokens, which are 0 sequences of 1001");
            refused(() -> TrainingData.of(store, 600, 0, 0.1), "1 sequences of 600 tokens, and 1 of them are kept");
            TrainingData data = TrainingData.of(store, 7, 0, 0.1);
            refused(() -> data.batch(-1, 1), "-1");
            refused(() -> data.batch(0, 0), "at least one sequence");
            refused(() -> data.epoch(-1), "-1");
            refused(() -> data.evaluation(15, 1), "only 0 to 14");
            refused(() -> data.evaluation(-1, 1), "-1");
            refused(() -> data.evaluationBatches(0), "at least one sequence");
            assertThrows(ArithmeticException.class, () -> data.batch(0, Integer.MAX_VALUE));
        }
    }

    private static void refused(Runnable action, String part) {
        String message =
                assertThrows(IllegalArgumentException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }

    /** Random bytes below 128 in files of random length. */
    private TokenStore store(int tokens) throws IOException {
        Random random = new Random(tokens);
        List<Path> files = new ArrayList<>();
        for (int left = tokens; left > 0; ) {
            byte[] text = new byte[Math.min(left, random.nextInt(60))];
            for (int i = 0; i < text.length; i++) {
                text[i] = (byte) random.nextInt(1, 128);
            }
            files.add(Files.write(directory.resolve("text" + files.size()), text));
            left -= text.length;
        }
        try (TextTokenizer bytes = TextTokenizer.bytes(256)) {
            return TokenStore.open(directory.resolve("store"), files, bytes, _ -> {});
        }
    }

    private static int[] raw(TokenStore store) {
        int[] raw = new int[Math.toIntExact(store.tokens())];
        store.read(0, raw, 0, raw.length);
        return raw;
    }

    private static int[] tokens(TokenStore store) {
        return Arrays.stream(raw(store)).map(id -> id < 0 ? ~id : id).toArray();
    }

    private static List<Integer> ids(int[] tokens, int sequence) {
        return Arrays.stream(tokens, sequence * SEQ, (sequence + 1) * SEQ)
                .boxed()
                .toList();
    }

    private static int find(int[] tokens, List<Integer> ids) {
        return IntStream.range(0, tokens.length)
                .filter(i -> i % ids.size() == 0
                        && ids.equals(
                                Arrays.stream(tokens, i, i + ids.size()).boxed().toList()))
                .findFirst()
                .orElseThrow();
    }

    private static List<List<Integer>> epoch(TrainingData data, int epoch) {
        List<List<Integer>> ids = new ArrayList<>();
        long first = epoch * data.sequences();
        for (long at = first; at < first + data.sequences(); at++) {
            assertEquals(epoch, data.epoch(at));
            ids.add(rows(data.batch(at, 1)).getFirst().ids());
        }
        return ids;
    }

    private static List<Row> rows(TokenBatch batch) {
        List<Row> rows = new ArrayList<>();
        for (int i = 0; i < batch.batch(); i++) {
            rows.add(new Row(
                    row(batch, batch.ids(), i),
                    row(batch, batch.labels(), i),
                    row(batch, batch.positions(), i),
                    row(batch, batch.kvStart(), i)));
        }
        return rows;
    }

    private static List<Integer> row(TokenBatch batch, int[] column, int row) {
        return Arrays.stream(column, row * batch.seq(), (row + 1) * batch.seq())
                .boxed()
                .toList();
    }
}
