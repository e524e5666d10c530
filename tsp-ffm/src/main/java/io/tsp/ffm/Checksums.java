package io.tsp.ffm;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;

/** What the files of a folder must be: file name to SHA-256. */
final class Checksums {
    private static final int BUFFER_BYTES = 1 << 20;
    private static final int ID_LENGTH = 16;

    private final String source;
    private final String text;
    private final Map<String, String> digests;

    private Checksums(String source, String text) {
        this.source = source;
        this.text = text;
        this.digests = new TreeMap<>();
        text.lines().map(line -> line.split(" +", 2)).forEach(line -> digests.put(line[1], line[0]));
    }

    /** Reads a resource in the format of {@code sha256sum}. */
    static Checksums read(String resource) {
        try (InputStream in = Checksums.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new NativeLibraryException(
                        "Resource " + resource + " is missing from " + OwnCode.location() + "; " + AbiCheck.REBUILD);
            }
            return new Checksums(resource, new String(in.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot read resource " + resource + ": " + e.getMessage(), e);
        }
    }

    /** A name for this set of contents. */
    String id() {
        return HexFormat.of()
                .formatHex(sha256().digest(text.getBytes(StandardCharsets.UTF_8)))
                .substring(0, ID_LENGTH);
    }

    /**
     * Reads one listed file of {@code folder}.
     *
     * @throws NativeLibraryException if it is not what the list says
     */
    void verify(Path folder, String fileName) throws IOException {
        Path file = folder.resolve(fileName);
        String expected = digests.get(fileName);
        String actual = digest(file);
        if (!actual.equals(expected)) {
            throw new NativeLibraryException(file + " has SHA-256 " + actual + ", but " + source + " says " + expected
                    + "; delete " + folder + " and start again");
        }
    }

    private static String digest(Path file) throws IOException {
        MessageDigest digest = sha256();
        try (DigestInputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
            byte[] buffer = new byte[BUFFER_BYTES];
            while (in.read(buffer) >= 0) {
                // Reading is what updates the digest.
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }
}
