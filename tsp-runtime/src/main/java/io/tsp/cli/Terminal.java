package io.tsp.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Where a verb writes: results to out, everything else to err.
 *
 * @param outIsTerminal whether a person reads out, so that colours make sense
 * @param errIsTerminal whether a person reads err, so that a progress bar makes sense
 * @param environment variables of the process
 * @param stop what tells a long verb to stop early
 */
record Terminal(
        PrintWriter out,
        PrintWriter err,
        boolean outIsTerminal,
        boolean errIsTerminal,
        Map<String, String> environment,
        StopRequest stop) {

    /** Those of this process. */
    static Terminal standard() {
        return new Terminal(
                new PrintWriter(System.out, true, StandardCharsets.UTF_8),
                new PrintWriter(System.err, true, StandardCharsets.UTF_8),
                isTerminal(1),
                isTerminal(2),
                System.getenv(),
                new StopRequest());
    }

    /** Java's own answer is about standard input and output together, so it cannot tell that only one is redirected. */
    private static boolean isTerminal(int descriptor) {
        try {
            Path device = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor));
            return device.startsWith("/dev/pts") || device.toString().startsWith("/dev/tty");
        } catch (IOException | UnsupportedOperationException e) {
            return false;
        }
    }

    /** See no-color.org. */
    boolean hasColor() {
        return outIsTerminal && environment.getOrDefault("NO_COLOR", "").isEmpty() && !isDumb();
    }

    /** Whether lines can be redrawn. */
    boolean showsProgress() {
        return errIsTerminal && !isDumb();
    }

    private boolean isDumb() {
        return "dumb".equals(environment.get("TERM"));
    }

    /** Bold where there is colour. */
    String heading(String text) {
        return hasColor() ? "\033[1m" + text + "\033[0m" : text;
    }
}
