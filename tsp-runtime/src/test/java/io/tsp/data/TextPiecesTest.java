package io.tsp.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that text is lost, doubled or broken where one piece follows another. */
class TextPiecesTest {
    private static final String[] LETTERS = {"a", "\n", " ", "\r\n", "\t", "\u00e4", "\u6771", "\ud83d\ude42", "\0", "."
    };

    @TempDir
    Path directory;

    @Test
    void piecesAreTheTextWhateverTheirSize() throws IOException {
        Random random = new Random(1);
        for (int round = 0; round < 300; round++) {
            int kinds = 1 + random.nextInt(LETTERS.length);
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(80); i >= 0; i--) {
                text.append(LETTERS[LETTERS.length - 1 - random.nextInt(kinds)]);
            }
            int size = 8 + random.nextInt(20);
            List<TextPieces.Piece> pieces = pieces(text.toString().getBytes(StandardCharsets.UTF_8), size);
            assertEquals(text.toString(), String.join("", texts(pieces)));
            for (int i = 0; i < pieces.size(); i++) {
                TextPieces.Piece piece = pieces.get(i);
                int bytes = piece.text().getBytes(StandardCharsets.UTF_8).length;
                assertTrue(bytes > 0 && bytes <= size, () -> piece + " of at most " + size + " bytes");
                assertEquals(i == 0, piece.begins());
                assertEquals(i == pieces.size() - 1, piece.ends());
            }
        }
    }

    private static Stream<Arguments> cuts() {
        return Stream.of(
                Arguments.of("one two\nthree four!", List.of("one two\n", "three", " four!")),
                Arguments.of("a\nb\n  c d e f g h", List.of("a\n", "b\n", "  c d e f", " g h")),
                Arguments.of("a\n\n\nb c d e f g h", List.of("a\n\n\n", "b c d e f", " g h")),
                Arguments.of("one\n    two", List.of("one\n", "    two")),
                Arguments.of("one  two   three", List.of("one  two", "   three")),
                Arguments.of("abcdefghijkl", List.of("abcdefghij", "kl")),
                Arguments.of("abcdefghij", List.of("abcdefghij")),
                Arguments.of("abcdefg\ud83d\ude42hi", List.of("abcdefg", "\ud83d\ude42hi")),
                Arguments.of("abcdef\ud83d\ude42hi", List.of("abcdef\ud83d\ude42", "hi")),
                Arguments.of("          b", List.of("          ", "b")));
    }

    @ParameterizedTest
    @MethodSource("cuts")
    void piecesEndWhereTokenizersDoNotJoin(String text, List<String> expected) throws IOException {
        assertEquals(expected, texts(pieces(text.getBytes(StandardCharsets.UTF_8), 10)));
    }

    /** Of every kind of wrong bytes that a decoder may let pass: alone, and on both sides of a piece's end. */
    @ParameterizedTest
    @MethodSource("wrongBytes")
    void wrongBytesAreNamed(byte[] wrong) throws IOException {
        for (int at = 0; at < 40; at++) {
            byte[] text = "x".repeat(40).getBytes(StandardCharsets.UTF_8);
            System.arraycopy(wrong, 0, text, at, Math.min(wrong.length, text.length - at));
            String message =
                    assertThrows(ModelException.class, () -> pieces(text, 10)).getMessage();
            assertTrue(message.startsWith(directory.resolve("text") + ", byte " + at + ": not UTF-8"), message);
        }
    }

    private static Stream<byte[]> wrongBytes() {
        return Stream.of(
                new byte[] {(byte) 0xff},
                new byte[] {(byte) 0x80},
                new byte[] {(byte) 0xc3, 'x'},
                new byte[] {(byte) 0xe6, (byte) 0x9d, 'x'},
                new byte[] {(byte) 0xf0, (byte) 0x9f, (byte) 0x99, 'x'},
                new byte[] {(byte) 0xc0, (byte) 0xaf},
                new byte[] {(byte) 0xed, (byte) 0xa0, (byte) 0x80},
                new byte[] {(byte) 0x80, (byte) 0x80, (byte) 0x80, (byte) 0x80, (byte) 0x80, (byte) 0x80});
    }

    /** 64 MiB without a line end or blank: no piece, and with it nothing that is held in memory, is larger than 64 KiB. */
    @Test
    void aLongTextIsNeverHeldAsAWhole() throws IOException {
        Path path = directory.resolve("long");
        byte[] block = "\u6771".repeat(1 << 16).getBytes(StandardCharsets.UTF_8);
        long total = 0;
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(path))) {
            for (; total < 64L << 20; total += block.length) {
                out.write(block);
            }
        }
        long seen = 0;
        try (TextPieces pieces = TextPieces.open(TextFile.of(path), TokenStore.PIECE_BYTES)) {
            for (Optional<TextPieces.Piece> next = pieces.next(); next.isPresent(); next = pieces.next()) {
                int bytes = next.get().text().length() * 3;
                assertTrue(bytes <= 1 << 16, () -> bytes + " bytes in a piece");
                seen += bytes;
                assertEquals(seen, pieces.consumed());
            }
        }
        assertEquals(total, seen);
    }

    private List<TextPieces.Piece> pieces(byte[] text, int size) throws IOException {
        Path path = Files.write(directory.resolve("text"), text);
        List<TextPieces.Piece> all = new ArrayList<>();
        try (TextPieces pieces = TextPieces.open(TextFile.of(path), size)) {
            for (Optional<TextPieces.Piece> next = pieces.next(); next.isPresent(); next = pieces.next()) {
                all.add(next.get());
            }
            assertEquals(text.length, pieces.consumed());
        }
        return all;
    }

    private static List<String> texts(List<TextPieces.Piece> pieces) {
        return pieces.stream().map(TextPieces.Piece::text).toList();
    }
}
