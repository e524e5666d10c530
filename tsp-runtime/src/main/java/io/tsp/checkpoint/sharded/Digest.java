package io.tsp.checkpoint.sharded;

import io.tsp.model.Parameter.Block;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/** SHA-256 and number of the bytes that went by. */
final class Digest {
    private static final int READ_BYTES = 4 << 20;

    private final MessageDigest sha256;
    private long bytes;

    Digest() {
        try {
            sha256 = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JVM has SHA-256", e);
        }
    }

    static Digest of(byte[] content) {
        Digest digest = new Digest();
        digest.update(ByteBuffer.wrap(content));
        return digest;
    }

    /** The whole content of a file that is not a link. */
    static Digest of(Path file) throws IOException {
        Digest digest = new Digest();
        ByteBuffer buffer = ByteBuffer.allocateDirect(READ_BYTES);
        try (SeekableByteChannel channel =
                Files.newByteChannel(file, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS))) {
            while (channel.read(buffer.clear()) >= 0) {
                digest.update(buffer.flip());
            }
        }
        return digest;
    }

    void update(ByteBuffer next) {
        bytes += next.remaining();
        sha256.update(next);
    }

    /** The file that these bytes are; ends the digest. */
    FileEntry entry(String name, List<Block> slices) {
        return new FileEntry(name, bytes, hex(), slices);
    }

    /** 64 lower-case digits; ends the digest. */
    String hex() {
        return HexFormat.of().formatHex(sha256.digest());
    }
}
