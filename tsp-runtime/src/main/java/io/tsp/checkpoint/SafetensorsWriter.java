package io.tsp.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.model.ModelException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Consumer;

/**
 * Writes a safetensors file of any size piece by piece. The bytes go to a hidden temporary file in the same directory,
 * which takes the target's name in one step at {@link #commit}: a reader sees the old file or the complete new one.
 * Closing without a commit leaves nothing behind.
 */
public final class SafetensorsWriter implements AutoCloseable {
    /** A tensor that will be written; tensors lie in the file in the order in which they are declared. */
    public record Declaration(String name, StoredType type, List<Long> dims) {
        public Declaration {
            dims = List.copyOf(dims);
        }
    }

    // From a heap buffer the JDK writes through a direct buffer as large as the request, which it keeps per thread.
    private static final int WRITE_BYTES = 8 << 20;

    private final Path target;
    private final Path temporary;
    private final Disk disk;
    private final Consumer<ByteBuffer> written;
    private final FileChannel channel;
    private final Iterator<StoredTensor> tensors;
    private StoredTensor current;
    private long position;
    private boolean committed;

    private SafetensorsWriter(Path target, Disk disk, Consumer<ByteBuffer> written, SafetensorsHeader header)
            throws IOException {
        this.target = target;
        this.temporary = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        this.disk = disk;
        this.written = written;
        this.channel = disk.create(temporary);
        this.tensors = header.tensors().values().iterator();
        this.current = tensors.next();
    }

    /**
     * Begins a file and writes its header.
     *
     * @throws IllegalArgumentException if a reader would refuse the file (no tensor, a name twice, ...)
     * @throws StorageException if the directory cannot be written
     */
    public static SafetensorsWriter create(Path target, Map<String, String> metadata, List<Declaration> tensors) {
        return create(target, metadata, tensors, Disk.SHARED, bytes -> {});
    }

    /**
     * Begins a file as {@link #create(Path, Map, List)} does.
     *
     * @param disk does all writing
     * @param written sees every byte of the file once, in the file's order
     */
    public static SafetensorsWriter create(
            Path target,
            Map<String, String> metadata,
            List<Declaration> tensors,
            Disk disk,
            Consumer<ByteBuffer> written) {
        byte[] json = headerJson(metadata, tensors);
        SafetensorsHeader header = parsed(target, json, tensors);
        Path absolute = target.toAbsolutePath();
        try {
            SafetensorsWriter writer = new SafetensorsWriter(absolute, disk, written, header);
            writer.writeHeader(json);
            return writer;
        } catch (IOException e) {
            throw unwritable(absolute, e);
        }
    }

    /**
     * Appends bytes (little-endian elements) to a tensor. Tensors are filled one after the other.
     *
     * @throws IllegalStateException if it is not this tensor's turn, or it would get more bytes than it was declared
     *     with
     */
    public void write(String tensor, ByteBuffer bytes) {
        if (!bytes.hasRemaining()) {
            return;
        }
        skipFull();
        if (!current.name().equals(tensor) || bytes.remaining() > current.end() - position) {
            throw new IllegalStateException(bytes.remaining() + " bytes for tensor " + tensor + " where "
                    + current.name() + " lacks " + (current.end() - position));
        }
        try {
            append(bytes);
        } catch (IOException e) {
            throw unwritable(target, e);
        }
    }

    /**
     * Makes the file durable and gives it its name.
     *
     * @throws IllegalStateException if bytes are missing
     */
    public void commit() {
        skipFull();
        if (position != current.end()) {
            throw new IllegalStateException(
                    "tensor " + current.name() + " lacks " + (current.end() - position) + " bytes");
        }
        try {
            disk.force(channel, temporary);
            disk.close(channel, temporary);
            disk.move(temporary, target);
            committed = true;
            disk.forceDirectory(target.resolveSibling("."));
        } catch (IOException e) {
            throw unwritable(target, e);
        }
    }

    @Override
    public void close() {
        try {
            try {
                disk.close(channel, temporary);
            } finally {
                if (!committed) {
                    disk.delete(temporary);
                }
            }
        } catch (IOException e) {
            throw unwritable(target, e);
        }
    }

    private void writeHeader(byte[] json) throws IOException {
        ByteBuffer length = ByteBuffer.allocate(SafetensorsHeader.LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        try {
            append(length.putLong(json.length).flip());
            append(ByteBuffer.wrap(json));
        } catch (IOException e) {
            close();
            throw e;
        }
    }

    private void append(ByteBuffer bytes) throws IOException {
        int end = bytes.limit();
        while (bytes.position() < end) {
            bytes.limit(bytes.position() + Math.min(WRITE_BYTES, end - bytes.position()));
            int start = bytes.position();
            int count = disk.write(channel, temporary, bytes);
            written.accept(bytes.slice(start, count));
            position += count;
        }
    }

    /** Moves on to the next tensor that still lacks bytes; empty ones need no call. */
    private void skipFull() {
        while (position == current.end() && tensors.hasNext()) {
            current = tensors.next();
        }
    }

    private static byte[] headerJson(Map<String, String> metadata, List<Declaration> tensors) {
        ByteArrayOutputStream json = new ByteArrayOutputStream();
        try (JsonGenerator generator = new JsonFactory().createGenerator(json)) {
            generator.writeStartObject();
            if (!metadata.isEmpty()) {
                generator.writeObjectFieldStart(SafetensorsHeader.METADATA);
                for (Map.Entry<String, String> entry : new TreeMap<>(metadata).entrySet()) {
                    generator.writeStringField(entry.getKey(), entry.getValue());
                }
                generator.writeEndObject();
            }
            long offset = 0;
            for (Declaration tensor : tensors) {
                offset = writeDeclaration(generator, tensor, offset);
            }
            generator.writeEndObject();
        } catch (IOException e) {
            throw new IllegalArgumentException("names or metadata that cannot be written as JSON", e);
        }
        return padded(json.toByteArray());
    }

    private static long writeDeclaration(JsonGenerator generator, Declaration tensor, long offset) throws IOException {
        long bits = tensor.type().bits();
        for (long dim : tensor.dims()) {
            bits = Math.multiplyExact(bits, dim);
        }
        long end = Math.addExact(offset, bits / Byte.SIZE);
        generator.writeObjectFieldStart(tensor.name());
        generator.writeStringField("dtype", tensor.type().name());
        generator.writeFieldName("shape");
        writeNumbers(generator, tensor.dims());
        generator.writeFieldName("data_offsets");
        writeNumbers(generator, List.of(offset, end));
        generator.writeEndObject();
        return end;
    }

    private static void writeNumbers(JsonGenerator generator, List<Long> numbers) throws IOException {
        generator.writeStartArray();
        for (long number : numbers) {
            generator.writeNumber(number);
        }
        generator.writeEndArray();
    }

    /** Spaces up to a multiple of 8, so that readers which map the file find aligned tensors. */
    private static byte[] padded(byte[] json) {
        byte[] padded = Arrays.copyOf(json, Math.ceilDiv(json.length, Long.BYTES) * Long.BYTES);
        Arrays.fill(padded, json.length, padded.length, (byte) ' ');
        return padded;
    }

    /** What the reader makes of the header: it refuses here what it would refuse later. */
    private static SafetensorsHeader parsed(Path target, byte[] json, List<Declaration> tensors) {
        if (tensors.isEmpty()) {
            throw new IllegalArgumentException("a file without tensors");
        }
        long dataBytes = 0;
        for (Declaration tensor : tensors) {
            long count = tensor.dims().stream().reduce(1L, Math::multiplyExact);
            dataBytes = Math.addExact(
                    dataBytes, Math.multiplyExact(count, tensor.type().bits()) / Byte.SIZE);
        }
        try {
            long fileBytes = SafetensorsHeader.LENGTH_BYTES + json.length + dataBytes;
            SafetensorsHeader.length(target.toString(), json.length, fileBytes);
            return SafetensorsHeader.parse(target.toString(), json, fileBytes);
        } catch (ModelException e) {
            throw new IllegalArgumentException("a reader would refuse this file: " + e.getMessage(), e);
        }
    }

    private static StorageException unwritable(Path target, IOException cause) {
        return new StorageException(
                target + " cannot be written (" + Disk.reason(cause) + "); free space there or choose another place",
                cause);
    }
}
