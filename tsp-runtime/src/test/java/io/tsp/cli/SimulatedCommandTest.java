package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.cost.HardwareProfile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a user is told a simulated figure that is none, or that looks as if it were measured. */
class SimulatedCommandTest {
    private static final String HASH = HardwareProfile.of("h200").hash();

    @TempDir
    private Path folder;

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> list(Map<String, Object> document, String name) {
        return (List<Map<String, Object>>) document.get(name);
    }

    @Test
    void comparisonSaysThatItIsSimulatedAndMeasuresNothing() throws IOException {
        Path json = folder.resolve("compare.json");
        Cli cli = Cli.ok("compare", "--device", "sim:h200", "--seq", 4096, "--dtype", "bf16", "--json", json);
        assertTrue(cli.out().contains("simulated with profile h200 (" + HASH.substring(0, 12) + ")"), cli.out());
        Map<String, Object> document = Cli.json(json);
        assertEquals("sim:h200", document.get("device"));
        assertEquals(HASH, document.get("profileHash"));
        List<Map<String, Object>> schemes = list(document, "schemes");
        assertEquals(8, schemes.size());
        for (Map<String, Object> scheme : schemes) {
            assertNull(scheme.get("measuredPeakBytes"));
            assertNull(scheme.get("maxError"));
            assertTrue((double) scheme.get("plannedPeakBytes") > 0);
            assertEquals(4096 / (double) scheme.get("stepSeconds"), (double) scheme.get("tokensPerSecond"), 1);
        }
        assertTrue(Cli.ok("compare", "--device", "sim:h200", "--seq", 4096, "--dtype", "bf16")
                .out()
                .equals(cli.out()));
    }

    /** The same programs make the same tracks and slices, in virtual time. */
    @Test
    void traceLooksLikeARealOne() throws IOException {
        Path simulated = folder.resolve("simulated.json");
        Path real = folder.resolve("real.json");
        Cli.ok("compare", "--device", "sim:zen5-2core", "--schemes", "tsp", "--seq", 256, "--trace", simulated);
        Cli.ok("compare", "--schemes", "tsp", "--seq", 256, "--repeat", 1, "--trace", real);
        assertEquals(slices(real), slices(simulated));
    }

    /** How many slices of each name each process has; waits happen when they happen. */
    private static Map<String, Long> slices(Path trace) throws IOException {
        return list(Cli.json(trace), "traceEvents").stream()
                .filter(event -> !"wait".equals(event.get("cat")))
                .collect(Collectors.groupingBy(
                        event -> event.get("pid") + " " + event.get("ph") + " " + event.get("name"),
                        Collectors.counting()));
    }

    @Test
    void trainingTakesOneStep() throws IOException {
        Path trace = folder.resolve("trace.json");
        Cli cli = Cli.ok(
                "train",
                "--preset",
                "small",
                "--scheme",
                "tsp",
                "--degree",
                4,
                "--dtype",
                "bf16",
                "--batch",
                2,
                "--seq",
                1024,
                "--steps",
                1,
                "--device",
                "sim:mi300x",
                "--trace",
                trace);
        assertTrue(cli.out().contains("a step of 2,048 tokens takes "), cli.out());
        assertTrue(list(Cli.json(trace), "traceEvents").size() > 1000);
    }

    @Test
    void planRecommendsWhatItsNumbersSay() throws IOException {
        Path json = folder.resolve("plan.json");
        Cli cli = Cli.ok(
                "plan",
                "--preset",
                "tsp-34m",
                "--device",
                "sim:h200",
                "--ranks",
                16,
                "--seq",
                8192,
                "--max-degree",
                8,
                "--recompute",
                "selective",
                "--json",
                json);
        Map<String, Object> document = Cli.json(json);
        assertEquals(HASH, document.get("profileHash"));
        assertEquals(0.0, document.get("recommended"));
        List<Map<String, Object>> candidates = list(document, "candidates");
        Map<String, Object> best = candidates.getFirst();
        assertTrue((boolean) best.get("fits"));
        for (Map<String, Object> candidate : candidates) {
            assertEquals(16.0, candidate.get("ranks"));
            assertEquals(16.0, (double) candidate.get("degree") * (double) candidate.get("dp"));
            assertTrue((double) candidate.get("tokensPerSecond") <= (double) best.get("tokensPerSecond"));
            Map<?, ?> bytes = (Map<?, ?>) candidate.get("bytesByClass");
            assertEquals(
                    (double) candidate.get("bytesPerRank"),
                    bytes.values().stream().mapToDouble(Double.class::cast).sum());
            double known = (double) candidate.get("computeSeconds")
                    + (double) candidate.get("skewSeconds")
                    + (double) candidate.get("exposedTransferSeconds");
            double step = (double) candidate.get("stepSeconds");
            assertTrue(known <= step * 1.001 && known > step * 0.9, candidate.toString());
        }
        assertTrue(cli.out().contains("Recommended: --scheme " + best.get("scheme") + " --degree "), cli.out());
        assertTrue(cli.out().contains("the longest sequence that fits is "), cli.out());
    }

    /** Where nothing fits, the smallest are shown, and nothing is recommended. */
    @Test
    void planThatFitsNowhereSaysSo() throws IOException {
        Path json = folder.resolve("plan.json");
        Cli cli = Cli.ok(
                "plan", "--preset", "tsp-7b", "--device", "sim:h100", "--ranks", 1, "--seq", 4096, "--json", json);
        assertTrue(cli.out().contains("Nothing fits: a device has 80.0 GiB"), cli.out());
        assertTrue(!cli.out().contains("Recommended"), cli.out());
        assertNull(Cli.json(json).get("recommended"));
    }
}
