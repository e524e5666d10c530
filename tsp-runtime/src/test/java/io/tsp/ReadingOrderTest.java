package io.tsp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** What docs/reading.md promises: the files on the way exist, and none is longer than a sitting. */
class ReadingOrderTest {

    private static final int LONGEST_FILE = 300;
    private static final Path GUIDE = Path.of("..", "docs", "reading.md");
    private static final Pattern LINK = Pattern.compile("\\]\\(([^)#]+)\\)");

    @TestFactory
    Stream<DynamicTest> everyStopIsAFileUnder300Lines() throws IOException {
        return LINK.matcher(Files.readString(GUIDE))
                .results()
                .map(link -> GUIDE.resolveSibling(link.group(1)).normalize())
                .map(stop -> DynamicTest.dynamicTest(stop.getFileName().toString(), () -> {
                    assertTrue(Files.isRegularFile(stop), () -> stop + " does not exist");
                    long lines = Files.readAllLines(stop).size();
                    assertTrue(lines <= LONGEST_FILE, () -> stop + " has " + lines + " lines");
                }));
    }

    @Test
    void theGuideHasTwelveStops() throws IOException {
        try (Stream<String> lines = Files.lines(GUIDE)) {
            assertEquals(
                    12, lines.filter(line -> line.matches("\\| \\d+ \\|.*")).count());
        }
    }
}
