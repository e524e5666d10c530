package io.tsp.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.exc.InputCoercionException;
import io.tsp.model.ModelException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;

/**
 * A JSON document read token by token, where whatever RFC 8259 leaves to the reader is refused: a byte order mark,
 * bytes that are not UTF-8, lone surrogates, text after the document. Every refusal names the file and the byte.
 */
public final class StrictJson {
    private static final int NUMBER_CHARS = 64;

    private final ModelException.Part part;
    private final String file;
    private final byte[] bytes;
    private final long fileOffset;
    private final JsonParser parser;

    /**
     * Opens a document.
     *
     * @param limits from {@link #limits}
     * @param file as it is named in messages
     * @param fileOffset where in the file the document begins
     */
    public StrictJson(JsonFactory limits, ModelException.Part part, String file, byte[] bytes, long fileOffset) {
        this.part = part;
        this.file = file;
        this.bytes = bytes;
        this.fileOffset = fileOffset;
        requireUtf8();
        try {
            parser = limits.createParser(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException("a parser over bytes in memory does no input", e);
        }
    }

    /** The deepest nesting, the longest member name and the longest string that documents may have. */
    public static JsonFactory limits(int depth, int nameChars, int stringChars) {
        return JsonFactory.builder()
                .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                .disable(JsonFactory.Feature.CHARSET_DETECTION)
                .streamReadConstraints(StreamReadConstraints.builder()
                        .maxNestingDepth(depth)
                        .maxNameLength(nameChars)
                        .maxNumberLength(NUMBER_CHARS)
                        .maxStringLength(stringChars)
                        .build())
                .build();
    }

    /** Moves to the next token, which must exist. */
    public JsonToken next() {
        JsonToken token;
        try {
            token = parser.nextToken();
        } catch (JsonProcessingException e) {
            throw malformed(e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        if (token == null) {
            throw failure(bytes.length, "the document ends early");
        }
        return token;
    }

    /** Moves to the next token, which must be of this kind. */
    public void expect(JsonToken kind, Supplier<String> what) {
        if (next() != kind) {
            throw failure("expected " + what.get() + ", found " + found());
        }
    }

    /** Passes over the value of the current member. */
    void skipValue() {
        try {
            next();
            parser.skipChildren();
        } catch (JsonProcessingException e) {
            throw malformed(e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The member name, string or number at the current token. */
    public String text() {
        try {
            return requirePairedSurrogates(parser.getText());
        } catch (JsonProcessingException e) {
            throw malformed(e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The current token as a whole number from 0 up. */
    public long natural(JsonToken token, Supplier<String> what) {
        try {
            // -0 is an integer to the parser.
            if (token == JsonToken.VALUE_NUMBER_INT && parser.getTextCharacters()[parser.getTextOffset()] != '-') {
                return parser.getLongValue();
            }
        } catch (InputCoercionException e) {
            throw failure(what.get() + " is " + found() + ", more than 2^63 - 1");
        } catch (JsonProcessingException e) {
            throw malformed(e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        throw failure("expected " + what.get() + ", a whole number from 0 up, found " + found());
    }

    /** Refuses anything but blanks after the current token. */
    public void end(boolean onlySpaces) {
        for (int i = (int) parser.currentLocation().getByteOffset(); i < bytes.length; i++) {
            byte b = bytes[i];
            boolean blank = b == ' ' || (!onlySpaces && (b == '\n' || b == '\r' || b == '\t'));
            if (!blank) {
                throw failure(i, "after the document may stand only " + (onlySpaces ? "spaces" : "white space"));
            }
        }
    }

    /** Where the current token begins, counted from the start of the file. */
    long offset() {
        return fileOffset + parser.currentTokenLocation().getByteOffset();
    }

    /** A refusal at the current token. */
    public ModelException failure(String what) {
        return FileProblem.at(part, file, offset(), what);
    }

    private ModelException failure(long position, String what) {
        return FileProblem.at(part, file, fileOffset + position, what);
    }

    private ModelException malformed(JsonProcessingException e) {
        long position =
                Math.max(0, e.getLocation() == null ? 0 : e.getLocation().getByteOffset());
        // Jackson names a source that it does not have.
        String message = e.getOriginalMessage().replaceAll("\\[Source: REDACTED[^;]*; ", "[");
        return failure(position, "not valid JSON (" + Printable.quote(message) + ")");
    }

    private String found() {
        JsonToken token = parser.currentToken();
        return switch (token) {
            case START_OBJECT -> "an object";
            case START_ARRAY -> "a list";
            case END_OBJECT, END_ARRAY -> "the end of the list or object";
            case VALUE_NULL -> "null";
            case VALUE_TRUE, VALUE_FALSE -> token.asString();
            case VALUE_STRING -> "the string " + Printable.quote(text());
            default -> Printable.quote(text());
        };
    }

    /** Jackson makes sure of it in names but not in values. */
    private String requirePairedSurrogates(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isHighSurrogate(text.charAt(i))
                    && i + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(i + 1))) {
                i++;
            } else if (Character.isSurrogate(text.charAt(i))) {
                throw failure("the string " + Printable.quote(text) + " has half of a surrogate pair");
            }
        }
        return text;
    }

    /** Jackson decodes overlong forms, surrogates and code points beyond Unicode without complaint, hence this pass. */
    private void requireUtf8() {
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] >= 0 && bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t') {
                throw failure(i, String.format("a control character (0x%02x)", bytes[i]));
            }
        }
        CharsetDecoder decoder = StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        ByteBuffer source = ByteBuffer.wrap(bytes);
        CharBuffer discarded = CharBuffer.allocate(Math.clamp(bytes.length, 1, 8192));
        CoderResult result;
        do {
            discarded.clear();
            result = decoder.decode(source, discarded, true);
        } while (result.isOverflow());
        if (result.isError()) {
            throw failure(source.position(), "bytes that are not UTF-8");
        }
        if (bytes.length >= 3 && bytes[0] == (byte) 0xef && bytes[1] == (byte) 0xbb && bytes[2] == (byte) 0xbf) {
            throw failure(0, "a byte order mark");
        }
    }
}
