package io.tsp.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Safetensors files byte by byte, right or wrong, without help from the writer under test. */
final class RawSafetensors {
    private RawSafetensors() {}

    /** A file with this header, and so many zero bytes of data. */
    static byte[] file(String json, int dataBytes) {
        return file(json.getBytes(StandardCharsets.UTF_8), dataBytes);
    }

    static byte[] file(byte[] json, int dataBytes) {
        return fileOfLength(json.length, json, dataBytes);
    }

    /** A file whose length field says something of its own. */
    static byte[] fileOfLength(long declared, byte[] json, int dataBytes) {
        return ByteBuffer.allocate(Long.BYTES + json.length + dataBytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(declared)
                .put(json)
                .array();
    }

    /** The header's entry of one tensor, to be joined with commas. */
    static String entry(String name, String type, String shape, long begin, long end) {
        return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
                .formatted(name, type, shape, begin, end);
    }

    static Path write(Path file, byte[] bytes) {
        try {
            return Files.write(file, bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
