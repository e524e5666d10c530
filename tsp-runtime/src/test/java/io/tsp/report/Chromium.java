package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A page in a real browser.
 *
 * @param dom the page after its scripts have run
 * @param console what the page and the browser complained of
 */
record Chromium(String dom, List<String> console) {
    private static final List<String> FLAGS = List.of(
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            "--dump-dom");
    private static final int SECONDS = 60;

    /**
     * Opens a page and waits until it has nothing left to do.
     *
     * @param folder for the browser's own files
     * @param fragment what follows the address, or nothing
     */
    static Chromium open(Path page, Path folder, String fragment, String... flags)
            throws IOException, InterruptedException {
        String path = String.valueOf(System.getenv("PATH"));
        boolean isThere = Arrays.stream(path.split(File.pathSeparator))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, "chromium")));
        assumeTrue(isThere, "no chromium on the PATH; apt-get install chromium");
        List<String> command = new ArrayList<>(List.of("chromium"));
        command.addAll(FLAGS);
        command.addAll(List.of(flags));
        command.add("--user-data-dir=" + folder.resolve("profile"));
        command.add(page.toUri() + fragment);
        Path out = folder.resolve("dom.html");
        Path err = folder.resolve("chromium.log");
        Process process = new ProcessBuilder(command)
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        boolean ended = process.waitFor(SECONDS, TimeUnit.SECONDS);
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
        String log = Files.readString(err);
        assertTrue(ended, "chromium did not end:\n" + log);
        assertEquals(0, process.exitValue(), log);
        return new Chromium(
                Files.readString(out),
                log.lines().filter(line -> line.contains("CONSOLE")).toList());
    }
}
