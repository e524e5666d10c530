package io.tsp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that what a user downloads does not run where nothing of this repository is. */
class DistributionIT {
    private static final int DEADLINE_SECONDS = 120;

    @TempDir
    private Path folder;

    @Test
    void theJarRunsInAnEmptyFolder() throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin/java").toString();
        String jar = System.getProperty("tsp.jar");
        assertSucceeds("compare", java, "-jar", jar, "--help");
        assertSucceeds("libtsp_kernels_cpu.so", java, "-jar", jar, "doctor");
        try (Stream<Path> left = Files.list(folder.resolve("work"))) {
            assertEquals(List.of(), left.toList(), "files left in the working folder");
        }
    }

    @Test
    void theZipRunsWhereItIsUnpacked() throws Exception {
        assertSucceeds("", "unzip", "-q", System.getProperty("tsp.zip"), "-d", folder.toString());
        Path tsp;
        try (Stream<Path> unpacked = Files.list(folder)) {
            tsp = unpacked.filter(p -> p.getFileName().toString().startsWith("tsp-"))
                    .findFirst()
                    .orElseThrow();
        }
        String program = tsp.resolve("bin/tsp").toString();
        assertSucceeds("compare", program, "--help");
        assertSucceeds(tsp.resolve("native/libtsp_kernels_cpu.so").toString(), program, "doctor");
    }

    private void assertSucceeds(String expected, String... command) throws IOException, InterruptedException {
        Path work = Files.createDirectories(folder.resolve("work"));
        Path output = folder.resolve("output");
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(work.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("TSP_"));
        builder.environment().put("TSP_CACHE_DIR", folder.resolve("cache").toString());
        builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
        Process process = builder.start();
        boolean ended = process.waitFor(DEADLINE_SECONDS, TimeUnit.SECONDS);
        process.destroyForcibly();
        String text = String.join(" ", command) + "\n" + Files.readString(output, StandardCharsets.UTF_8);
        assertTrue(ended, () -> "still running after " + DEADLINE_SECONDS + " s: " + text);
        assertEquals(0, process.exitValue(), text);
        assertTrue(text.contains(expected), () -> "no '" + expected + "' in: " + text);
    }
}
