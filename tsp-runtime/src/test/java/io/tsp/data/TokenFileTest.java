package io.tsp.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.SafetensorsFile;
import io.tsp.checkpoint.SafetensorsWriter;
import io.tsp.checkpoint.SafetensorsWriter.Declaration;
import io.tsp.checkpoint.StoredTensor;
import io.tsp.checkpoint.StoredType;
import io.tsp.model.ModelException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that the loss of other tokens than the given ones is reported. */
class TokenFileTest {
    private static final Path FIXTURES = Path.of("src/test/resources/fixtures");

    @TempDir
    Path directory;

    /** A tensor of tokens. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Column(String name, StoredType type, List<Long> dims, long... values) {
        static Column of(String name, long... values) {
            return new Column(name, StoredType.I64, List.of(1L, (long) values.length), values);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama2/oracle/packed", "mistral/oracle/packed", "llama2/oracle/s203", "llama2/oracle/s1"})
    void positionsAndLabelsAreThoseOfTheOracle(String name) {
        Path path = FIXTURES.resolve(name + ".safetensors");
        TokenBatch batch = TokenFile.read(path, 97);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertArrayEquals(
                    longs(file, "positions"),
                    IntStream.of(batch.positions()).asLongStream().toArray());
            long[] labels = longs(file, "labels");
            ByteBuffer losses = bytes(file, "token_losses_f32");
            for (int i = 0; i < labels.length; i++) {
                boolean counts = losses.getFloat(i * 4) != 0;
                assertEquals(counts ? labels[i + 1] : TokenBatch.IGNORED, batch.labels()[i], "token " + i);
            }
        }
    }

    @Test
    void int32IsReadLikeInt64() {
        Column column = new Column("input_ids", StoredType.I32, List.of(2L, 2L), 1, 2, 3, 4);
        TokenBatch batch = TokenFile.read(write(column), 5);
        assertArrayEquals(new int[] {1, 2, 3, 4}, batch.ids());
        assertEquals(2, batch.batch());
    }

    @Test
    void largeFilesAreReadInPieces() {
        long[] values = IntStream.range(0, 50_000).asLongStream().toArray();
        assertArrayEquals(
                IntStream.range(0, 50_000).toArray(),
                TokenFile.read(write(Column.of("input_ids", values)), 50_000).ids());
    }

    @Test
    void tokensOutsideTheVocabularyAreNamed() {
        for (long wrong : new long[] {10, -1, 1L << 32, Long.MIN_VALUE, Long.MAX_VALUE}) {
            Path path = write(Column.of("input_ids", 1, 2, wrong, 3));
            String message = refusal(path);
            long begin;
            try (SafetensorsFile file = SafetensorsFile.open(path)) {
                begin = file.tensors().get("input_ids").begin();
            }
            assertTrue(
                    message.startsWith(path + ", byte " + (begin + 16) + ": \"input_ids\" [0, 2] is " + wrong),
                    message);
        }
    }

    @Test
    void labelsAreTokensOrIgnored() {
        Column ids = Column.of("input_ids", 1, 2, 3);
        assertArrayEquals(
                new int[] {-1, 4, -1},
                TokenFile.read(write(ids, Column.of("labels", -100, -100, 4)), 10)
                        .labels());
        for (long wrong : new long[] {-1, -99, -101, 10}) {
            String message = refusal(write(ids, Column.of("labels", 1, 2, wrong)));
            assertTrue(message.contains("\"labels\" [0, 2] is " + wrong) && message.contains("-100 or"), message);
        }
    }

    @Test
    void documentsMustBeRuns() {
        Column ids = Column.of("input_ids", 1, 2, 3);
        String message = refusal(write(ids, Column.of("document_ids", 0, 1, 0)));
        assertTrue(message.contains("\"document_ids\" [0, 2] is 0") && message.contains("one run"), message);
        assertArrayEquals(
                new int[] {0, 1, 1},
                TokenFile.read(write(ids, Column.of("document_ids", -5, 0, 0)), 10)
                        .kvStart());
        assertTrue(
                refusal(write(ids, Column.of("document_ids", 0, 0, 1L << 40))).contains("document number"));
    }

    @Test
    void otherShapesAndTypesAreRefused() {
        assertTrue(refusal(write(Column.of("tokens", 1))).contains("has no tensor input_ids"));
        assertTrue(refusal(write(new Column("input_ids", StoredType.I64, List.of(2L), 1, 2)))
                .contains("[B, S]"));
        assertTrue(refusal(write(new Column("input_ids", StoredType.I64, List.of(1L, 1L, 1L), 1)))
                .contains("[B, S]"));
        assertTrue(refusal(write(new Column("input_ids", StoredType.I64, List.of(0L, 4L))))
                .contains("at least one token"));
        assertTrue(refusal(write(new Column("input_ids", StoredType.I64, List.of(4L, 0L))))
                .contains("at least one token"));
        assertTrue(refusal(write(new Column("input_ids", StoredType.U32, List.of(1L, 1L), 1)))
                .contains("I64 or I32"));
        assertTrue(refusal(write(new Column("input_ids", StoredType.F32, List.of(1L, 1L), 1)))
                .contains("I64 or I32"));
        Column ids = Column.of("input_ids", 1, 2);
        assertTrue(refusal(write(ids, Column.of("labels", 1))).contains("of shape [1, 2]"));
        assertTrue(refusal(write(ids, new Column("document_ids", StoredType.I64, List.of(2L, 1L), 1, 2)))
                .contains("of shape [1, 2]"));
        assertTrue(refusal(directory.resolve("none")).contains("there is no file"));
    }

    private static String refusal(Path path) {
        ModelException refusal = assertThrows(ModelException.class, () -> TokenFile.read(path, 10));
        assertEquals(ModelException.Part.FILE, refusal.part());
        return refusal.getMessage();
    }

    private Path write(Column... columns) {
        Path path = directory.resolve("tokens.safetensors");
        List<Declaration> declarations = List.of(columns).stream()
                .map(column -> new Declaration(column.name, column.type, column.dims))
                .toList();
        try (SafetensorsWriter writer = SafetensorsWriter.create(path, Map.of(), declarations)) {
            for (Column column : columns) {
                ByteBuffer bytes = ByteBuffer.allocate(column.values.length * column.type.bytes())
                        .order(ByteOrder.LITTLE_ENDIAN);
                for (long value : column.values) {
                    if (column.type.bytes() == Long.BYTES) {
                        bytes.putLong(value);
                    } else {
                        bytes.putInt((int) value);
                    }
                }
                writer.write(column.name, bytes.flip());
            }
            writer.commit();
        }
        return path;
    }

    private static long[] longs(SafetensorsFile file, String name) {
        ByteBuffer bytes = bytes(file, name);
        long[] values = new long[bytes.capacity() / Long.BYTES];
        bytes.asLongBuffer().get(values);
        return values;
    }

    private static ByteBuffer bytes(SafetensorsFile file, String name) {
        StoredTensor tensor = file.tensors().get(name);
        ByteBuffer bytes = ByteBuffer.allocate((int) tensor.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        file.read(tensor, 0, bytes);
        return bytes.flip();
    }
}
