package io.tsp.data;

import io.tsp.model.ModelException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Optional;

/**
 * A UTF-8 text read piece by piece, each of at most a given number of bytes. A piece ends where tokenizers hardly ever
 * join: after the line ends before a line that does not begin with a blank, else after a line end, else before a blank
 * (which they join with the word that follows), else between two code points. Where it ends depends only on the bytes.
 */
final class TextPieces implements AutoCloseable {
    /** Four bytes make a code point and one shows what follows. */
    private static final int LEAST_BYTES = 8;

    private final TextFile file;
    private final InputStream in;
    private final byte[] buffer;
    private int filled;
    private long consumed;

    /**
     * A piece of a text, never empty.
     *
     * @param begins whether it is the first
     * @param ends whether it is the last
     */
    record Piece(String text, boolean begins, boolean ends) {}

    private TextPieces(TextFile file, InputStream in, byte[] buffer) {
        this.file = file;
        this.in = in;
        this.buffer = buffer;
    }

    /**
     * Opens a text.
     *
     * @param pieceBytes the longest piece, at least 8
     * @throws ModelException (FILE) if it cannot be read
     */
    static TextPieces open(TextFile file, int pieceBytes) {
        if (pieceBytes < LEAST_BYTES) {
            throw new IllegalArgumentException(
                    "a piece has at least " + LEAST_BYTES + " bytes, not " + pieceBytes + "; ask for longer ones");
        }
        try {
            // One byte more than a piece shows whether another one follows, and how it begins.
            byte[] buffer = new byte[Math.max(LEAST_BYTES, (int) Math.min(pieceBytes, file.bytes())) + 1];
            return new TextPieces(file, Files.newInputStream(file.path()), buffer);
        } catch (IOException e) {
            throw TextFile.unreadable(file.path(), e);
        }
    }

    /** Bytes of all pieces so far. */
    long consumed() {
        return consumed;
    }

    /**
     * The next piece, or empty after the last.
     *
     * @throws ModelException (FILE) if it is not UTF-8, naming the byte, or cannot be read
     */
    Optional<Piece> next() {
        try {
            filled += in.readNBytes(buffer, filled, buffer.length - filled);
        } catch (IOException e) {
            throw TextFile.unreadable(file.path(), e);
        }
        if (filled == 0) {
            return Optional.empty();
        }
        boolean ends = filled < buffer.length;
        int cut = ends ? filled : cut();
        Piece piece = new Piece(decode(cut), consumed == 0, ends);
        System.arraycopy(buffer, cut, buffer, 0, filled - cut);
        filled -= cut;
        consumed += cut;
        return Optional.of(piece);
    }

    @Override
    public void close() {
        try {
            in.close();
        } catch (IOException e) {
            throw TextFile.unreadable(file.path(), e);
        }
    }

    /** Bytes of the next piece of a full buffer. */
    private int cut() {
        int lineEnd = 0;
        int blank = 0;
        for (int at = filled - 1; at > 0; at--) {
            boolean before = isBlank(buffer[at - 1]);
            boolean after = isBlank(buffer[at]);
            if (buffer[at - 1] == '\n' && !after) {
                return at;
            }
            lineEnd = lineEnd == 0 && buffer[at - 1] == '\n' ? at : lineEnd;
            blank = blank == 0 && after && !before ? at : blank;
        }
        if (lineEnd > 0 || blank > 0) {
            return lineEnd > 0 ? lineEnd : blank;
        }
        int at = filled - 1;
        while (at > filled - 4 && isContinuation(buffer[at])) {
            at--;
        }
        return at;
    }

    private String decode(int count) {
        CharsetDecoder decoder = StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        ByteBuffer source = ByteBuffer.wrap(buffer, 0, count);
        // No character takes less than a byte.
        CharBuffer text = CharBuffer.allocate(count);
        CoderResult result = decoder.decode(source, text, true);
        if (result.isError()) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    file.path() + ", byte " + (consumed + source.position())
                            + ": not UTF-8 text; convert the file to UTF-8 or leave it out");
        }
        return text.flip().toString();
    }

    private static boolean isBlank(byte value) {
        return value == ' ' || (value >= '\t' && value <= '\r');
    }

    private static boolean isContinuation(byte value) {
        return (value & 0xc0) == 0x80;
    }
}
