package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that {@code tsp compare} leaves a scheme out, judges it wrongly, or writes nonsense. */
class CompareCommandTest {
    private static final List<String> ALL =
            List.of("single", "tsp", "tp", "tp+sp-regions", "sp", "tp+sp:2x2", "fsdp+sp", "ulysses");

    @TempDir
    private Path folder;

    @Test
    void everySchemeIsMeasuredAndAgreesWithSingle() throws IOException {
        Path json = folder.resolve("compare.json");
        Path trace = folder.resolve("trace.json");
        Cli cli = Cli.ok("compare", "--seq", 203, "--repeat", 2, "--json", json, "--trace", trace);

        Map<String, Object> document = Cli.json(json);
        assertEquals(
                List.of("schemaVersion", "mode", "model", "dtype", "batch", "seq", "device", "threads", "schemes"),
                List.copyOf(document.keySet()));
        assertEquals(
                List.of(1.0, "forward", "tiny", "f32", 1.0, 203.0, "cpu"),
                List.copyOf(document.values()).subList(0, 7));
        List<Map<String, Object>> schemes = schemes(document);
        assertEquals(ALL, schemes.stream().map(scheme -> scheme.get("scheme")).toList());
        schemes.forEach(CompareCommandTest::check);
        for (String name : ALL) {
            assertTrue(cli.out().contains("\n" + name + " "), cli.out());
        }
        checkTrace(trace);
    }

    @Test
    void trainingIsMeasuredAndAgreesWithSingle() throws IOException {
        Path json = folder.resolve("compare.json");
        Cli cli = Cli.ok("compare", "--mode", "train", "--seq", 203, "--repeat", 1, "--json", json);
        Map<String, Object> document = Cli.json(json);
        assertEquals("train", document.get("mode"));
        List<Map<String, Object>> schemes = schemes(document);
        assertEquals(ALL, schemes.stream().map(scheme -> scheme.get("scheme")).toList());
        for (Map<String, Object> scheme : schemes) {
            assertEquals("ok", scheme.get("status"));
            assertTrue((double) scheme.get("maxError") < 1e-5, scheme.toString());
            Map<?, ?> bytes = (Map<?, ?>) scheme.get("bytesByClass");
            assertTrue(bytes.containsKey("optimizer") && bytes.containsKey("saved"), bytes.toString());
        }
        assertTrue(cli.out().contains("optimizer"), cli.out());
    }

    private static void check(Map<String, Object> scheme) {
        assertEquals(
                List.of(
                        "scheme",
                        "ranks",
                        "status",
                        "reason",
                        "tokensPerSecond",
                        "stepSeconds",
                        "plannedPeakBytes",
                        "measuredPeakBytes",
                        "bytesByClass",
                        "bytesSent",
                        "skewSeconds",
                        "exposedTransferSeconds",
                        "maxError",
                        "errorTokens"),
                List.copyOf(scheme.keySet()));
        boolean single = scheme.get("scheme").equals("single");
        assertEquals("ok", scheme.get("status"));
        assertEquals("", scheme.get("reason"));
        assertEquals(single ? 1.0 : 4.0, scheme.get("ranks"));
        double seconds = number(scheme, "stepSeconds");
        assertEquals(203 / seconds, number(scheme, "tokensPerSecond"), 1e-6 / seconds);
        assertTrue(number(scheme, "measuredPeakBytes") <= number(scheme, "plannedPeakBytes"), scheme::toString);
        assertTrue(number(scheme, "measuredPeakBytes") > 0.9 * number(scheme, "plannedPeakBytes"), scheme::toString);
        assertEquals(single, number(scheme, "bytesSent") == 0);
        assertTrue(number(scheme, "maxError") <= 1e-5, scheme::toString);
        assertEquals(203.0, scheme.get("errorTokens"));
        assertTrue(number(scheme, "skewSeconds") < seconds, scheme::toString);
        assertTrue(number(scheme, "exposedTransferSeconds") < seconds, scheme::toString);
        @SuppressWarnings("unchecked")
        Map<String, Double> classes = (Map<String, Double>) scheme.get("bytesByClass");
        double sum = classes.values().stream().mapToDouble(Double::doubleValue).sum();
        assertEquals(number(scheme, "plannedPeakBytes"), sum);
    }

    private static double number(Map<String, Object> scheme, String name) {
        return (double) Objects.requireNonNull(scheme.get(name), name);
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> schemes(Map<String, Object> document) {
        return (List<Map<String, Object>>) document.get("schemes");
    }

    /** One process for each rank of each scheme; on a lane nothing overlaps but the waiting inside an exchange. */
    private static void checkTrace(Path file) throws IOException {
        @SuppressWarnings("unchecked")
        List<Map<String, Object>> events =
                (List<Map<String, Object>>) Cli.json(file).get("traceEvents");
        long processes = events.stream()
                .filter(event -> event.get("name").equals("process_name"))
                .count();
        assertEquals(1 + 4L * (ALL.size() - 1), processes);
        Map<List<Object>, Double> ends = new HashMap<>();
        double previousStart = 0;
        double previousEnd = 0;
        for (Map<String, Object> event : events) {
            if (!event.get("ph").equals("X")) {
                continue;
            }
            double start = (double) event.get("ts");
            double end = start + (double) event.get("dur");
            assertTrue(start >= 0 && end >= start, event::toString);
            // A nanosecond, because microseconds are added as doubles.
            if (event.get("cat").equals("wait")) {
                assertTrue(start >= previousStart && end <= previousEnd + 1e-3, event::toString);
            } else {
                List<Object> thread = List.of(event.get("pid"), event.get("tid"));
                assertTrue(start >= ends.getOrDefault(thread, 0.0) - 1e-3, event::toString);
                ends.put(thread, end);
                previousStart = start;
                previousEnd = end;
            }
        }
    }

    @Test
    void onlyTheSchemesThatAreNamedRunBesidesSingle() throws IOException {
        Path json = folder.resolve("compare.json");
        Path text = Files.writeString(folder.resolve("text"), "a short text of a few bytes");
        Cli.ok(
                "compare",
                "--schemes",
                "tsp,tp+sp:3x2,tsp",
                "--degree",
                6,
                "--text",
                text,
                "--repeat",
                1,
                "--json",
                json);
        Map<String, Object> document = Cli.json(json);
        assertEquals(27.0, document.get("seq"));
        assertEquals(
                List.of("single", "tsp", "tp+sp:3x2"),
                schemes(document).stream().map(scheme -> scheme.get("scheme")).toList());
        assertEquals(
                List.of(1.0, 6.0, 6.0),
                schemes(document).stream().map(scheme -> scheme.get("ranks")).toList());
    }

    @Test
    void replicasAreComparedWithOneRank() throws IOException {
        Path json = folder.resolve("compare.json");
        Cli.ok(
                "compare",
                "--schemes",
                "tsp",
                "--degree",
                2,
                "--dp",
                2,
                "--batch",
                3,
                "--seq",
                31,
                "--repeat",
                1,
                "--json",
                json);
        Map<String, Object> tsp = schemes(Cli.json(json)).get(1);
        assertEquals(4.0, tsp.get("ranks"));
        assertEquals(93.0, tsp.get("errorTokens"));
        assertTrue(number(tsp, "maxError") <= 1e-5, tsp::toString);
    }
}
