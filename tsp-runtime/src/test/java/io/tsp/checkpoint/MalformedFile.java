package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.nio.file.Path;

/**
 * A safetensors file that must be refused.
 *
 * @param offset the byte that the message must name, or {@link #ANY}
 * @param saying what it must contain
 */
@SuppressWarnings("ArrayRecordComponent")
record MalformedFile(String name, byte[] bytes, long offset, String saying) {
    static final long ANY = -1;
    /** The entry of a good tensor, of 8 bytes. */
    static final String GOOD = RawSafetensors.entry("a", "F32", "[2]", 0, 8);

    /** A file with this header and the 8 bytes of the good tensor. */
    static MalformedFile header(String name, String json, long offset, String saying) {
        return new MalformedFile("header: " + name, RawSafetensors.file(json, 8), offset, saying);
    }

    /** A file with these entries and so many bytes of data. */
    static MalformedFile data(String name, int dataBytes, String saying, String... entries) {
        byte[] bytes = RawSafetensors.file("{" + String.join(",", entries) + "}", dataBytes);
        return new MalformedFile("data: " + name, bytes, ANY, saying);
    }

    void assertRefused(Path directory) {
        Path file = RawSafetensors.write(directory.resolve("model.safetensors"), bytes);
        ModelException refusal = Refusal.of(() -> SafetensorsFile.open(file));
        assertEquals(ModelException.Part.FILE, refusal.part());
        String message = refusal.getMessage();
        String place = offset == ANY ? ", byte " : ", byte " + offset + ": ";
        assertTrue(message.startsWith(file + place), message);
        assertTrue(message.contains(saying), message);
    }

    @Override
    public String toString() {
        return name;
    }
}
