package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * A failure means that a header, a list of symbols or a generated binding was changed alone, so Java may no longer call
 * what C declares.
 */
class BindingsLockTest {
    private static final Path REPOSITORY = Path.of(System.getProperty("tsp.repository", ".."));
    private static final Path LOCK = REPOSITORY.resolve("tsp-ffm/src/main/jextract/bindings.sha256");
    private static final Path GENERATED = REPOSITORY.resolve("tsp-ffm/src/main/java/io/tsp/ffm/generated");

    @Test
    void headersAndBindingsAreThoseOfTheLastGeneration() throws Exception {
        Map<String, String> locked = new TreeMap<>();
        for (String line : Files.readAllLines(LOCK)) {
            locked.put(line.split(" +", 2)[1], line.split(" +", 2)[0]);
        }
        Map<String, String> actual = new TreeMap<>();
        for (String path : locked.keySet()) {
            actual.put(path, digest(path));
        }
        try (Stream<Path> files = Files.walk(GENERATED)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String path = REPOSITORY.relativize(file).toString();
                actual.put(path, digest(path));
            }
        }
        assertEquals(
                String.join("\n", lines(locked)),
                String.join("\n", lines(actual)),
                "run scripts/regenerate-bindings and commit what it writes");
    }

    private static Iterable<String> lines(Map<String, String> digests) {
        return digests.entrySet().stream()
                .map(e -> e.getValue() + "  " + e.getKey())
                .toList();
    }

    /** Paths under {@code org/} are headers in the oneDNN jar, the others are files of this repository. */
    private static String digest(String path) throws Exception {
        try (InputStream in = path.startsWith("org/")
                ? BindingsLockTest.class.getResourceAsStream("/" + path)
                : open(REPOSITORY.resolve(path))) {
            assertNotNull(in, path + " is missing");
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(in.readAllBytes()));
        }
    }

    private static InputStream open(Path file) throws IOException {
        return Files.newInputStream(file);
    }
}
