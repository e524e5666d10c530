package io.tsp.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.ModelFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a model is trained on other tokens than its texts have. */
class TokenStoreTest {
    private static final Path FIXTURE = Path.of("src/test/resources/fixtures/text");
    private static final String[] LETTERS = {"a", "b ", "\n", "\u00e4", "\u6771", "\ud83d\ude42", "ring", "\t "};

    @TempDir
    Path directory;

    @Test
    void storesTheBytesOfEveryText() throws IOException {
        Random random = new Random(3);
        List<Integer> expected = new ArrayList<>();
        List<Path> files = new ArrayList<>();
        long documents = 0;
        for (int i = 0; i < 200; i++) {
            byte[] text = text(random, random.nextInt(90)).getBytes(StandardCharsets.UTF_8);
            files.add(Files.write(directory.resolve("text" + i), text));
            for (int b = 0; b < text.length; b++) {
                int id = Byte.toUnsignedInt(text[b]);
                expected.add(b == 0 ? -1 - id : id);
            }
            documents += text.length > 0 ? 1 : 0;
        }
        try (TextTokenizer bytes = TextTokenizer.bytes(256);
                TokenStore store = TokenStore.open(directory.resolve("a/b"), files, bytes, _ -> {}, 11)) {
            assertEquals(expected, stored(store));
            assertEquals(documents, store.documents());
            assertTrue(documents < 200, "some texts are empty");
            int[] some = new int[9];
            store.read(500, some, 2, 7);
            assertEquals(
                    expected.subList(500, 507),
                    Arrays.stream(some, 2, 9).boxed().toList());
            assertThrows(IllegalArgumentException.class, () -> store.read(expected.size() - 1, some, 0, 2));
            assertThrows(IllegalArgumentException.class, () -> store.read(-1, some, 0, 2));
        }
    }

    /** A text that fits a piece is encoded as ever; a longer one is its lines, with one special token before them. */
    @Test
    void aTokenizerSeesWholeLines() throws IOException {
        String text = Files.readString(FIXTURE.resolve("text.txt"));
        Path file = Files.writeString(directory.resolve("text"), text);
        try (TextTokenizer tokenizer = TextTokenizer.open(ModelFiles.in(FIXTURE), 300)) {
            int[] whole = tokenizer.encode(text);
            try (TokenStore store = open(tokenizer, file)) {
                assertEquals(marked(whole), stored(store));
            }
            List<Integer> lines = new ArrayList<>(List.of(~whole[0]));
            for (String line : text.split("(?<=\n)(?!\\s)")) {
                Arrays.stream(tokenizer.encode(line)).skip(1).forEach(lines::add);
            }
            try (TokenStore store = TokenStore.open(directory, List.of(file), tokenizer, _ -> {}, 130)) {
                assertEquals(lines, stored(store));
            }
        }
    }

    @Test
    void piecesOfManySizesGiveTheTokensOfTheWholeText() throws IOException {
        String text =
                Files.readString(FIXTURE.resolve("text.txt")).replace('\t', ' ').repeat(20);
        Path file = Files.writeString(directory.resolve("text"), text);
        try (TextTokenizer tokenizer = TextTokenizer.open(ModelFiles.in(FIXTURE), 300)) {
            for (int bytes = 130; bytes < 1500; bytes += 97) {
                try (TokenStore store = TokenStore.open(directory, List.of(file), tokenizer, _ -> {}, bytes)) {
                    assertEquals(marked(tokenizer.encode(text)), stored(store));
                }
            }
        }
    }

    @Test
    void whatStandsAroundATextStandsThereOnce() throws IOException {
        String json = Files.readString(FIXTURE.resolve("tokenizer.json"));
        String template = "{ \"Sequence\": { \"id\": \"A\", \"type_id\": 0 } }";
        String end = "{ \"SpecialToken\": { \"id\": \"<|begin_of_text|>\", \"type_id\": 0 } }";
        String both = json.replaceFirst(
                "(?s)\\{\\s*\"Sequence\": \\{\\s*\"id\": \"A\",\\s*\"type_id\": 0\\s*}\\s*}",
                template + ", " + end + ", " + end);
        Files.writeString(directory.resolve("tokenizer.json"), both);
        try (TextTokenizer tokenizer = TextTokenizer.open(ModelFiles.in(directory), 300)) {
            assertArrayEquals(new int[] {0, 66, 67, 0, 0}, tokenizer.encode("ab"));
            assertArrayEquals(new int[] {0, 0, 0}, tokenizer.encode(""));
            assertArrayEquals(new int[] {0, 66, 67}, tokenizer.encode("ab", true, false));
            assertArrayEquals(new int[] {66, 67}, tokenizer.encode("ab", false, false));
            assertArrayEquals(new int[] {66, 67, 0, 0}, tokenizer.encode("ab", false, true));
            // A special token that the text itself spells is the text's.
            assertArrayEquals(new int[] {0, 66}, tokenizer.encode("<|begin_of_text|>a", false, false));
            assertArrayEquals(new int[] {0}, tokenizer.encode("", true, false));
            assertArrayEquals(new int[0], tokenizer.encode("", false, false));
            Path file = Files.writeString(directory.resolve("text"), "aaaaaaaaaaaaaaaaaaab");
            try (TokenStore store = TokenStore.open(directory, List.of(file), tokenizer, _ -> {}, 8)) {
                List<Integer> expected = new ArrayList<>(List.of(~0));
                IntStream.range(0, 19).forEach(_ -> expected.add(66));
                expected.addAll(List.of(67, 0, 0));
                assertEquals(expected, stored(store));
            }
        }
    }

    @Test
    void readsMoreThanAPiece() throws IOException {
        byte[] text = new byte[700_001];
        for (int i = 0; i < text.length; i++) {
            text[i] = (byte) (i * 31 % 127);
        }
        Path file = Files.write(directory.resolve("text"), text);
        try (TextTokenizer tokenizer = TextTokenizer.bytes(256);
                TokenStore store = open(tokenizer, file)) {
            int[] stored = new int[text.length - 1];
            store.read(1, stored, 0, stored.length);
            for (int i = 0; i < stored.length; i++) {
                assertEquals(text[i + 1], stored[i]);
            }
        }
    }

    private TokenStore open(TextTokenizer tokenizer, Path... files) {
        return TokenStore.open(directory, List.of(files), tokenizer, _ -> {});
    }

    private static String text(Random random, int letters) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < letters; i++) {
            text.append(LETTERS[random.nextInt(LETTERS.length)]);
        }
        return text.toString();
    }

    private static List<Integer> marked(int[] document) {
        return IntStream.range(0, document.length)
                .mapToObj(i -> i == 0 ? ~document[i] : document[i])
                .toList();
    }

    private static List<Integer> stored(TokenStore store) {
        int[] stored = new int[Math.toIntExact(store.tokens())];
        store.read(0, stored, 0, stored.length);
        return Arrays.stream(stored).boxed().toList();
    }
}
