package io.tsp.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.checkpoint.ModelFiles;
import io.tsp.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that text reaches the model as other tokens than it was trained on. */
class TextTokenizerTest {
    private static final Path TEXT = Path.of("src/test/resources/fixtures/text");

    @TempDir
    Path directory;

    /** What transformers makes of a text. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Encoding(String text, int[] ids, String decoded) {}

    @Test
    void encodesAndDecodesAsTransformers() throws IOException {
        try (TextTokenizer tokenizer = TextTokenizer.open(ModelFiles.in(TEXT), 300)) {
            List<Encoding> encodings = encodings();
            assertTrue(encodings.size() > 5);
            for (Encoding encoding : encodings) {
                assertArrayEquals(encoding.ids, tokenizer.encode(encoding.text), encoding.text);
                assertEquals(encoding.decoded, tokenizer.decode(encoding.ids));
            }
        }
    }

    @Test
    void aLongTextIsNotCut() throws IOException {
        String text = Files.readString(TEXT.resolve("text.txt"));
        try (TextTokenizer tokenizer = TextTokenizer.open(ModelFiles.in(TEXT), 300)) {
            int once = tokenizer.encode(text).length;
            assertTrue(tokenizer.encode((text + "\n").repeat(50)).length > 45 * once);
        }
    }

    @Test
    void idsBeyondTheEmbeddingAreRefused() {
        try (TextTokenizer tokenizer = TextTokenizer.open(ModelFiles.in(TEXT), 60)) {
            String message = assertThrows(ModelException.class, () -> tokenizer.encode("zzz"))
                    .getMessage();
            assertTrue(message.contains("tokenizer.json gives token id") && message.contains("60"), message);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{}",
                "[]",
                "null",
                "{\"version\":\"1.0\"}",
                "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"b\"]]}}",
                "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
                "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a\"]}}",
                "{\"version\":\"1.0\",\"model\":{\"type\":\"Nothing\"}}",
                "{\"version\":\"1.0\",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(((\"},"
                        + "\"behavior\":\"Isolated\",\"invert\":false},"
                        + "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}"
            })
    void aBrokenTokenizerIsRefusedWithItsFile(String json) throws IOException {
        Files.writeString(directory.resolve("tokenizer.json"), json);
        ModelException refusal =
                assertThrows(ModelException.class, () -> TextTokenizer.open(ModelFiles.in(directory), 300));
        assertEquals(ModelException.Part.FILE, refusal.part());
        assertTrue(
                refusal.getMessage().startsWith(directory.resolve("tokenizer.json") + " is not"), refusal.getMessage());
    }

    @Test
    void deepNestingDoesNotExhaustTheStack() throws IOException {
        Files.writeString(directory.resolve("tokenizer.json"), "{\"model\":" + "[".repeat(1_000_000));
        assertThrows(ModelException.class, () -> TextTokenizer.open(ModelFiles.in(directory), 300));
    }

    @Test
    void withoutAFileTextIsBytes() {
        try (TextTokenizer tokenizer = TextTokenizer.open(ModelFiles.in(directory), 256)) {
            assertArrayEquals(new int[] {97, 0xc3, 0xa4}, tokenizer.encode("a\u00e4"));
            assertEquals("a\u00e4", tokenizer.decode(new int[] {97, 0xc3, 0xa4}));
            assertEquals("a\ufffd", tokenizer.decode(new int[] {97, 300}));
        }
        String message = assertThrows(ModelException.class, () -> TextTokenizer.bytes(255))
                .getMessage();
        assertTrue(message.contains("255"), message);
    }

    private static List<Encoding> encodings() throws IOException {
        List<Encoding> encodings = new ArrayList<>();
        try (JsonParser json =
                new JsonFactory().createParser(TEXT.resolve("encodings.json").toFile())) {
            json.nextToken();
            while (json.nextToken() == JsonToken.START_OBJECT) {
                String text = "";
                String decoded = "";
                List<Integer> ids = new ArrayList<>();
                while (json.nextToken() != JsonToken.END_OBJECT) {
                    String field = json.currentName();
                    json.nextToken();
                    switch (field) {
                        case "text" -> text = json.getText();
                        case "decoded" -> decoded = json.getText();
                        case "idsWithSpecial" -> {
                            while (json.nextToken() != JsonToken.END_ARRAY) {
                                ids.add(json.getIntValue());
                            }
                        }
                        default -> json.skipChildren();
                    }
                }
                encodings.add(new Encoding(text, ids.stream().mapToInt(id -> id).toArray(), decoded));
            }
        }
        return encodings;
    }
}
