package io.tsp.checkpoint;

import io.tsp.model.ModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.SequencedMap;

/**
 * An open safetensors file. It is opened once, measured through its handle, and read by position (never mapped: a file
 * truncated by someone else would then kill the JVM), so any number of threads may read.
 */
public final class SafetensorsFile implements AutoCloseable {
    // Into a heap buffer the JDK reads through a direct buffer as large as the request, which it keeps per thread.
    private static final int READ_BYTES = 8 << 20;

    private final String name;
    private final FileChannel channel;
    private final SafetensorsHeader header;

    private SafetensorsFile(String name, FileChannel channel, SafetensorsHeader header) {
        this.name = name;
        this.channel = channel;
        this.header = header;
    }

    /**
     * Opens a file and checks its whole header.
     *
     * @throws ModelException (FILE) if it is missing, not a regular file, unreadable or not strictly in the format
     */
    public static SafetensorsFile open(Path path) {
        return open(path, path.toString());
    }

    /** Opens a file that messages name differently, because links were resolved. */
    public static SafetensorsFile open(Path path, String name) {
        FileChannel channel = openChannel(path, name);
        try {
            return new SafetensorsFile(name, channel, readHeader(name, channel));
        } catch (IOException e) {
            closeAfter(e, channel);
            throw FileProblem.unreadable(ModelException.Part.FILE, name, e);
        } catch (RuntimeException e) {
            closeAfter(e, channel);
            throw e;
        }
    }

    /** Its path as it is named in messages. */
    public String name() {
        return name;
    }

    /** Tensors by name, in the order of their bytes. */
    public SequencedMap<String, StoredTensor> tensors() {
        return header.tensors();
    }

    /** The strings under {@code __metadata__}. */
    public Map<String, String> metadata() {
        return header.metadata();
    }

    /**
     * Fills what remains of target with bytes of a tensor of this file.
     *
     * @param firstByte first of the tensor's bytes to read
     * @throws ModelException (FILE) if the file cannot be read or has become shorter
     */
    public void read(StoredTensor tensor, long firstByte, ByteBuffer target) {
        if (firstByte < 0 || target.remaining() > tensor.bytes() - firstByte) {
            throw new IllegalArgumentException("bytes " + firstByte + " to " + (firstByte + target.remaining())
                    + " lie outside tensor " + Printable.quote(tensor.name()) + " of " + tensor.bytes() + " bytes");
        }
        try {
            readFully(name, channel, tensor.begin() + firstByte, target);
        } catch (IOException e) {
            throw FileProblem.unreadable(ModelException.Part.FILE, name, e);
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw FileProblem.unreadable(ModelException.Part.FILE, name, e);
        }
    }

    private static FileChannel openChannel(Path path, String name) {
        // Asked before opening, because opening a pipe blocks.
        if (Files.exists(path) && !Files.isRegularFile(path)) {
            throw new ModelException(
                    ModelException.Part.FILE, name + " is not a regular file; name a safetensors file");
        }
        try {
            return FileChannel.open(path, StandardOpenOption.READ);
        } catch (NoSuchFileException e) {
            throw new ModelException(
                    ModelException.Part.FILE, "there is no file " + name + "; check the path or download it", e);
        } catch (IOException e) {
            throw FileProblem.unreadable(ModelException.Part.FILE, name, e);
        }
    }

    private static SafetensorsHeader readHeader(String name, FileChannel channel) throws IOException {
        long fileBytes = channel.size();
        if (fileBytes < SafetensorsHeader.LENGTH_BYTES) {
            throw FileProblem.at(
                    ModelException.Part.FILE, name, fileBytes, "the file ends before its 8-byte length field");
        }
        ByteBuffer field = ByteBuffer.allocate(SafetensorsHeader.LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        readFully(name, channel, 0, field);
        byte[] json = new byte[SafetensorsHeader.length(name, field.getLong(0), fileBytes)];
        readFully(name, channel, SafetensorsHeader.LENGTH_BYTES, ByteBuffer.wrap(json));
        return SafetensorsHeader.parse(name, json, fileBytes);
    }

    private static void readFully(String name, FileChannel channel, long position, ByteBuffer target)
            throws IOException {
        int end = target.limit();
        long next = position;
        while (target.position() < end) {
            target.limit(target.position() + Math.min(READ_BYTES, end - target.position()));
            int read = channel.read(target, next);
            if (read <= 0) {
                throw FileProblem.at(ModelException.Part.FILE, name, next, "the file has become shorter while open");
            }
            next += read;
        }
    }

    private static void closeAfter(Exception failure, FileChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }
}
