package io.tsp.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.ModelFiles;
import io.tsp.checkpoint.StorageException;
import io.tsp.model.ModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that damaged or outdated tokens are taken for those of the texts, or that an error does not say why. */
class TokenStoreFileTest {
    private static final Path FIXTURE = Path.of("src/test/resources/fixtures/text");

    @TempDir
    Path directory;

    @Test
    void isReusedAndEndsWithItsDigest() throws IOException, NoSuchAlgorithmException {
        Path file = Files.writeString(directory.resolve("text"), "abc\n".repeat(10));
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256)) {
            Path path;
            String digest;
            List<Long> progress = new ArrayList<>();
            try (TokenStore store = TokenStore.open(directory, List.of(file, file), tokenizer, progress::add, 16)) {
                path = store.path();
                digest = store.digest();
            }
            assertEquals(List.of(16L, 16L, 8L, 16L, 16L, 8L), progress);
            byte[] content = Files.readAllBytes(path);
            assertEquals(80 * 4 + 32, content.length);
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(Arrays.copyOf(content, 80 * 4));
            assertEquals(HexFormat.of().formatHex(hash), digest);
            assertArrayEquals(hash, Arrays.copyOfRange(content, 80 * 4, content.length));
            Files.setLastModifiedTime(path, FileTime.fromMillis(0));
            try (TokenStore store = TokenStore.open(directory, List.of(file, file), tokenizer, progress::add, 16)) {
                assertEquals(digest, store.digest());
                assertEquals(2, store.documents());
            }
            assertEquals(FileTime.fromMillis(0), Files.getLastModifiedTime(path));
            assertEquals(6, progress.size());
            assertTrue(path.getFileName().toString().matches("tokens-[0-9a-f]{16}\\.bin"));
            assertEquals(List.of("text", path.getFileName().toString()), names());
        }
    }

    @Test
    void aDamagedStoreIsMadeAgain() throws IOException {
        Path file = Files.writeString(directory.resolve("text"), "abcdefgh");
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256)) {
            Path path;
            try (TokenStore store = open(tokenizer, file)) {
                path = store.path();
            }
            byte[] intact = Files.readAllBytes(path);
            List<byte[]> damages = new ArrayList<>();
            for (int i = 0; i < intact.length; i++) {
                byte[] flipped = intact.clone();
                flipped[i] ^= 4;
                damages.add(flipped);
            }
            for (int bytes = 0; bytes < intact.length; bytes++) {
                damages.add(Arrays.copyOf(intact, bytes));
            }
            damages.add(Arrays.copyOf(intact, intact.length + 4));
            for (byte[] damage : damages) {
                Files.write(path, damage);
                open(tokenizer, file).close();
                assertArrayEquals(intact, Files.readAllBytes(path));
            }
        }
    }

    /** Whoever can write the folder can also write a digest that fits; ids must not lead out of the embedding. */
    @ParameterizedTest
    @ValueSource(ints = {5, 256, Integer.MAX_VALUE, -257, Integer.MIN_VALUE})
    void idsOutsideOfTheVocabularyAreDamageToo(int wrong) throws Exception {
        Path file = Files.writeString(directory.resolve("text"), "abcdefgh");
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256)) {
            Path path;
            try (TokenStore store = open(tokenizer, file)) {
                path = store.path();
            }
            byte[] intact = Files.readAllBytes(path);
            // 5 is wrong only where a document must begin.
            for (int at : wrong == 5 ? new int[] {0} : new int[] {0, 3, 7}) {
                ByteBuffer forged = ByteBuffer.wrap(intact.clone()).order(ByteOrder.LITTLE_ENDIAN);
                forged.putInt(at * 4, wrong);
                forged.put(32, MessageDigest.getInstance("SHA-256").digest(Arrays.copyOf(forged.array(), 32)));
                Files.write(path, forged.array());
                open(tokenizer, file).close();
                assertArrayEquals(intact, Files.readAllBytes(path));
            }
        }
    }

    @Test
    void anythingElseHasAnotherFingerprint() throws IOException {
        Path one = Files.writeString(directory.resolve("one"), "abcdefgh");
        Path two = Files.writeString(directory.resolve("two"), "abcdefgh");
        FileTime time = Files.getLastModifiedTime(one);
        Files.setLastModifiedTime(two, time);
        try (TextTokenizer bytes = TextTokenizer.bytes(256);
                TextTokenizer more = TextTokenizer.bytes(257);
                TextTokenizer many = TextTokenizer.bytes(300);
                TextTokenizer json = TextTokenizer.open(ModelFiles.in(FIXTURE), 300)) {
            List<Path> paths = new ArrayList<>();
            paths.add(path(bytes, one));
            paths.add(path(bytes, two));
            paths.add(path(bytes, one, two));
            paths.add(path(bytes, two, one));
            paths.add(path(bytes, one, one));
            paths.add(path(more, one));
            paths.add(path(many, one));
            paths.add(path(json, one));
            Files.setLastModifiedTime(one, FileTime.fromMillis(time.toMillis() + 1000));
            paths.add(path(bytes, one));
            Files.writeString(one, "abcdefghi");
            Files.setLastModifiedTime(one, time);
            paths.add(path(bytes, one));
            assertEquals(paths.size(), paths.stream().distinct().count(), paths::toString);
            assertEquals(paths.getLast(), path(bytes, directory.resolve("./one")));
        }
    }

    @Test
    void manyProcessesMayMakeItAtOnce() throws Exception {
        Path file = Files.writeString(directory.resolve("text"), "abc\n".repeat(20_000));
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256);
                ExecutorService threads = Executors.newFixedThreadPool(4)) {
            Callable<String> open = () -> {
                try (TokenStore store = open(tokenizer, file)) {
                    return store.digest() + stored(store).hashCode();
                }
            };
            List<Future<String>> all = threads.invokeAll(List.of(open, open, open, open));
            for (Future<String> one : all) {
                assertEquals(all.getFirst().get(), one.get());
            }
            assertEquals(2, names().size());
        } catch (ExecutionException e) {
            throw new AssertionError(e.getCause());
        }
    }

    @Test
    void filesThatAreNoTextAreRefusedInASentenceAndLeaveNothingBehind() throws IOException {
        Path good = Files.writeString(directory.resolve("good"), "good");
        Path empty = Files.writeString(directory.resolve("empty"), "");
        Path wrong = Files.write(directory.resolve("wrong"), new byte[] {'a', 'b', (byte) 0xc3, 'c'});
        refused("there is no file " + directory.resolve("none") + ";", good, directory.resolve("none"));
        refused(directory + " is a directory;", good, directory);
        refused(wrong + ", byte 2: not UTF-8", good, wrong);
        refused(empty + " has no tokens;", empty);
        refused(empty + " and all other files have no tokens;", empty, empty);
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256)) {
            assertThrows(IllegalArgumentException.class, () -> open(tokenizer));
        }
        assertEquals(List.of("empty", "good", "wrong"), names());
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void aPipeIsRefusedInsteadOfWaitedFor() throws IOException, InterruptedException {
        Path pipe = directory.resolve("pipe");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
        refused(pipe + " is not a regular file;", pipe);
    }

    @Test
    void aFileThatIsWrittenMeanwhileIsRefused() throws IOException {
        Path file = Files.writeString(directory.resolve("text"), "abcdefgh".repeat(3));
        for (String end : List.of("", "more")) {
            try (TextTokenizer tokenizer = TextTokenizer.bytes(256)) {
                String message = assertThrows(
                                ModelException.class,
                                () -> TokenStore.open(
                                        directory, List.of(file), tokenizer, _ -> overwrite(file, end), 8))
                        .getMessage();
                assertTrue(message.startsWith(file + " was changed while it was read;"), message);
                assertEquals(List.of("text"), names());
            }
        }
    }

    @Test
    void aFileThatGivesMoreThanItsSizeIsRefused() throws IOException {
        TextFile file = TextFile.of(Files.writeString(directory.resolve("text"), "abc"));
        file.requireUnchanged(3);
        assertThrows(ModelException.class, () -> file.requireUnchanged(2));
        assertThrows(ModelException.class, () -> file.requireUnchanged(4));
    }

    @Test
    void aFolderThatCannotBeWrittenIsNamed() throws IOException {
        Path file = Files.writeString(directory.resolve("text"), "abc");
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256)) {
            StorageException failure = assertThrows(
                    StorageException.class, () -> TokenStore.open(file, List.of(file), tokenizer, _ -> {}));
            assertTrue(failure.getMessage().startsWith(file + "/tokens-"), failure.getMessage());
            assertTrue(failure.getMessage().contains(" cannot be written ("), failure.getMessage());
        }
    }

    @Test
    void aStoreThatBecomesShorterIsAnErrorNotZeros() throws IOException {
        Path file = Files.writeString(directory.resolve("text"), "abcdefgh");
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256);
                TokenStore store = open(tokenizer, file)) {
            Files.write(store.path(), new byte[12]);
            StorageException failure = assertThrows(StorageException.class, () -> store.read(2, new int[4], 0, 4));
            assertTrue(failure.getMessage().contains("shorter"), failure.getMessage());
        }
    }

    private void refused(String start, Path... files) {
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256)) {
            ModelException refusal = assertThrows(ModelException.class, () -> open(tokenizer, files));
            assertEquals(ModelException.Part.FILE, refusal.part());
            assertTrue(refusal.getMessage().startsWith(start), refusal.getMessage());
        }
    }

    private TokenStore open(TextTokenizer tokenizer, Path... files) {
        return TokenStore.open(directory, List.of(files), tokenizer, _ -> {});
    }

    private Path path(TextTokenizer tokenizer, Path... files) {
        try (TokenStore store = open(tokenizer, files)) {
            return store.path();
        }
    }

    /** Changes the size or the time. */
    private static void overwrite(Path file, String end) {
        try {
            FileTime time = Files.getLastModifiedTime(file);
            Files.writeString(file, "hgfedcba".repeat(3) + end);
            Files.setLastModifiedTime(file, FileTime.fromMillis(time.toMillis() - (end.isEmpty() ? 5000 : 0)));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    private static List<Integer> stored(TokenStore store) {
        int[] stored = new int[Math.toIntExact(store.tokens())];
        store.read(0, stored, 0, stored.length);
        return Arrays.stream(stored).boxed().toList();
    }
}
