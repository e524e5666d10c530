package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A failure means that escape sequences end up in files, or where a user has asked for none. */
class TerminalTest {
    private static Terminal terminal(boolean isTerminal, Map<String, String> environment) {
        PrintWriter nowhere = new PrintWriter(new StringWriter());
        return new Terminal(nowhere, nowhere, isTerminal, isTerminal, environment, new StopRequest());
    }

    @Test
    void onlyATerminalIsColoured() {
        assertTrue(terminal(true, Map.of()).hasColor());
        assertTrue(terminal(true, Map.of("NO_COLOR", "")).hasColor());
        assertFalse(terminal(true, Map.of("NO_COLOR", "1")).hasColor());
        assertFalse(terminal(true, Map.of("TERM", "dumb")).hasColor());
        assertFalse(terminal(false, Map.of()).hasColor());
        assertEquals("text", terminal(false, Map.of()).heading("text"));
        assertEquals("\033[1mtext\033[0m", terminal(true, Map.of()).heading("text"));
    }

    @Test
    void onlyATerminalShowsProgress() {
        assertTrue(terminal(true, Map.of("NO_COLOR", "1")).showsProgress());
        assertFalse(terminal(true, Map.of("TERM", "dumb")).showsProgress());
        assertFalse(terminal(false, Map.of()).showsProgress());
    }
}
