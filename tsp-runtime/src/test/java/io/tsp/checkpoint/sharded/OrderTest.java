package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a checkpoint has its name before its bytes are on the disk: a power cut could lose it. */
class OrderTest {
    @TempDir
    Path directory;

    @Test
    void everythingIsDurableBeforeItHasItsName() throws Exception {
        Path trace = directory.resolve("trace");
        Path out = directory.toRealPath().resolve("out");
        List<String> strace = List.of(
                "strace", "-f", "-y", "-s", "4096", "-o", trace.toString(), "-e", "trace=fsync,rename,unlink,rmdir");
        Assumptions.assumeTrue(canTrace(), "strace is not installed or may not trace");
        Process process = SavingProcess.start(strace, out, 1, 2);
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        List<String> calls = Files.readAllLines(trace);

        int named = first(calls, 0, "rename(\"" + out + "/.step-000002.tmp\", \"" + out + "/step-000002\")");
        String hidden = out + "/.step-000002.tmp";
        for (String file : List.of(
                "config.json", "tokenizer.json", "manifest.json", "manifest.json.sha256", "rank-00000.safetensors")) {
            boolean weights = file.endsWith(".safetensors");
            String opened = weights ? "/." + file : "/" + file + ">";
            assertTrue(first(calls, 0, "fsync", hidden + opened) < named, file);
        }
        int manifest = first(calls, 0, "fsync", hidden + "/manifest.json.sha256>");
        int folder = first(calls, manifest, "fsync", "<" + hidden + ">");
        assertTrue(folder < named, "the directory was renamed before its names were durable");

        int parent = first(calls, named, "fsync", "<" + out + ">");
        int retired = first(calls, 0, "rename(\"" + out + "/step-000001\", \"" + out + "/.step-000001.old\")");
        assertTrue(parent < retired, "the old checkpoint went before the new one was durable");
        int gone = first(calls, retired, "fsync", "<" + out + ">");
        int deleted = first(calls, 0, "unlink(\"" + out + "/.step-000001.old/");
        assertTrue(gone < deleted, "the old checkpoint was deleted while it could still have its name");
    }

    private static boolean canTrace() throws InterruptedException {
        try {
            return new ProcessBuilder("strace", "-o", "/dev/null", "true")
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            return false;
        }
    }

    /** The first call from a place on that has all these parts; the trace must have one. */
    private static int first(List<String> calls, int from, String... parts) {
        for (int i = from; i < calls.size(); i++) {
            String call = calls.get(i);
            if (List.of(parts).stream()
                    .allMatch(part ->
                            Pattern.compile(part, Pattern.LITERAL).matcher(call).find())) {
                return i;
            }
        }
        throw new AssertionError("no " + String.join(" ", parts) + " in " + String.join("\n", calls));
    }
}
