package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.SafetensorsWriter.Declaration;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that results are lost, or that a broken file is left where a good one was. */
class SafetensorsWriterTest {
    private static final List<StoredType> TYPES = List.of(StoredType.values());
    private static final Declaration A = new Declaration("a", StoredType.F32, List.of(2L));
    private static final Declaration B = new Declaration("b", StoredType.I64, List.of(1L, 2L));

    @TempDir
    Path directory;

    @Test
    void whatIsWrittenIsReadBack() throws IOException {
        for (int seed = 0; seed < 300; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            Map<String, byte[]> contents = new LinkedHashMap<>();
            List<Declaration> declarations = randomTensors(random, contents);
            Map<String, String> metadata = new HashMap<>();
            for (int i = random.nextInt(3); i > 0; i--) {
                metadata.put("k\n\u00e9\ud83d\ude00" + i, "\u0000\"" + i);
            }
            Path file = directory.resolve("x.safetensors");
            try (SafetensorsWriter writer = SafetensorsWriter.create(file, metadata, declarations)) {
                for (Declaration tensor : declarations) {
                    ByteBuffer bytes = ByteBuffer.wrap(contents.get(tensor.name()));
                    writer.write(tensor.name(), bytes.slice(0, 0));
                    while (bytes.hasRemaining()) {
                        int piece = 1 + random.nextInt(bytes.remaining());
                        writer.write(tensor.name(), bytes.slice(bytes.position(), piece));
                        bytes.position(bytes.position() + piece);
                    }
                }
                writer.commit();
            }
            try (SafetensorsFile read = SafetensorsFile.open(file)) {
                assertEquals(metadata, read.metadata());
                assertEquals(contents.keySet(), read.tensors().keySet());
                for (Declaration tensor : declarations) {
                    StoredTensor stored = read.tensors().get(tensor.name());
                    assertEquals(tensor, new Declaration(stored.name(), stored.type(), stored.dims()));
                    byte[] bytes = new byte[(int) stored.bytes()];
                    read.read(stored, 0, ByteBuffer.wrap(bytes));
                    assertArrayEquals(contents.get(tensor.name()), bytes);
                }
                assertEquals(0, read.tensors().values().iterator().next().begin() % 8);
            }
            assertEquals(List.of(file), entries());
        }
    }

    @Test
    void withoutCommitNothingIsLeftAndTheOldFileStays() throws IOException {
        Path file = Files.writeString(directory.resolve("x.safetensors"), "old");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, Map.of(), List.of(A))) {
            writer.write("a", ByteBuffer.allocate(4));
            assertThrows(IllegalStateException.class, writer::commit);
        }
        assertEquals("old", Files.readString(file));
        assertEquals(List.of(file), entries());
    }

    @Test
    void tensorsAreFilledInTheirOrderAndNotBeyond() {
        try (SafetensorsWriter writer = SafetensorsWriter.create(directory.resolve("x"), Map.of(), List.of(A, B))) {
            assertThrows(IllegalStateException.class, () -> writer.write("b", ByteBuffer.allocate(16)));
            assertThrows(IllegalStateException.class, () -> writer.write("a", ByteBuffer.allocate(9)));
            writer.write("a", ByteBuffer.allocate(8));
            assertThrows(IllegalStateException.class, () -> writer.write("a", ByteBuffer.allocate(1)));
            writer.write("b", ByteBuffer.allocate(16));
            writer.commit();
        }
    }

    @Test
    void whatTheReaderRefusesIsNotWritten() throws IOException {
        Declaration fraction = new Declaration("a", StoredType.F4, List.of(3L));
        Declaration reserved = new Declaration("__metadata__", StoredType.F32, List.of(2L));
        Declaration huge = new Declaration("a", StoredType.F32, List.of(1L << 40, 1L << 40));
        Declaration surrogate = new Declaration("\ud800", StoredType.F32, List.of(2L));
        Declaration nameless = new Declaration("", StoredType.F32, List.of(2L));
        for (List<Declaration> wrong : List.of(
                List.<Declaration>of(),
                List.of(A, A),
                List.of(fraction),
                List.of(reserved),
                List.of(surrogate),
                List.of(nameless))) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> SafetensorsWriter.create(directory.resolve("x"), Map.of(), wrong)
                            .close());
        }
        assertThrows(
                ArithmeticException.class,
                () -> SafetensorsWriter.create(directory.resolve("x"), Map.of(), List.of(huge))
                        .close());
        assertEquals(List.of(), entries());
    }

    @Test
    void aPlaceThatCannotBeWrittenIsNamed() throws IOException {
        Path missing = directory.resolve("missing/x.safetensors");
        String message = assertThrows(
                        StorageException.class,
                        () -> SafetensorsWriter.create(missing, Map.of(), List.of(A))
                                .close())
                .getMessage();
        assertTrue(message.startsWith(missing + " cannot be written ("), message);

        Path taken = Files.createDirectories(directory.resolve("taken/full")).getParent();
        try (SafetensorsWriter writer = SafetensorsWriter.create(taken, Map.of(), List.of(A))) {
            writer.write("a", ByteBuffer.allocate(8));
            assertThrows(StorageException.class, writer::commit);
        }
        assertEquals(List.of(taken), entries());
    }

    /** A limit on file sizes stands in for a full disk: both make write fail half way. */
    @Test
    void aFullDiskIsAnErrorThatLeavesNothing() throws Exception {
        Path file = directory.resolve("x.safetensors");
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String command = "ulimit -f 512; exec \"$0\" -cp \"$1\" \"$2\" \"$3\"";
        Process child = new ProcessBuilder(
                        "bash",
                        "-c",
                        command,
                        java,
                        System.getProperty("java.class.path"),
                        Limited.class.getName(),
                        file.toString())
                .redirectErrorStream(true)
                .start();
        String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(74, child.waitFor(), output);
        assertTrue(output.contains(file + " cannot be written (File too large)"), output);
        assertEquals(List.of(), entries());
    }

    /** What {@link #aFullDiskIsAnErrorThatLeavesNothing} runs under a limit. */
    static final class Limited {
        private Limited() {}

        public static void main(String[] args) {
            Declaration big = new Declaration("big", StoredType.U8, List.of(4L << 20));
            try (SafetensorsWriter writer = SafetensorsWriter.create(Path.of(args[0]), Map.of(), List.of(big))) {
                writer.write("big", ByteBuffer.allocate(4 << 20));
                writer.commit();
            } catch (StorageException e) {
                System.out.println(e.getMessage());
                System.exit(74);
            }
        }
    }

    private static List<Declaration> randomTensors(SplittableRandom random, Map<String, byte[]> contents) {
        List<Declaration> declarations = new ArrayList<>();
        int count = 1 + random.nextInt(6);
        for (int i = 0; i < count; i++) {
            StoredType type = TYPES.get(random.nextInt(TYPES.size()));
            List<Long> dims = new ArrayList<>();
            // Eight of anything fill whole bytes.
            long elements = 8;
            dims.add(8L);
            for (int rank = random.nextInt(4); rank > 0; rank--) {
                dims.add((long) random.nextInt(5));
                elements *= dims.getLast();
            }
            byte[] bytes = new byte[(int) (elements * type.bits() / 8)];
            random.nextBytes(bytes);
            String name = "t\"\\\u00e4" + i;
            contents.put(name, bytes);
            declarations.add(new Declaration(name, type, dims));
        }
        return declarations;
    }

    private List<Path> entries() throws IOException {
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.toList();
        }
    }
}
