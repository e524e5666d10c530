package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that the page that people look at is broken, or shows other numbers than the files. */
class ReportPageTest {
    private static final List<String> FIGURES = List.of(
            "comparison-0",
            "memory-0",
            "comparison-1",
            "memory-1",
            "comparison-2",
            "memory-2",
            "sequence-0",
            "plan-0",
            "plan-memory-0",
            "prediction-0",
            "timeline-0",
            "training-loss",
            "training-gradNorm",
            "training-learningRate",
            "training-tokensPerSecond");
    private static final Pattern FIGURE =
            Pattern.compile("<figure id=\"([^\"]*)\"([^>]*)>(.*?)</figure>", Pattern.DOTALL);
    private static final Pattern LINK = Pattern.compile("href=\"data:application/json;charset=utf-8,([^\"]*)\"");
    private static final Pattern ROW = Pattern.compile("<tr data-scheme=\"([^\"]*)\">(.*?)</tr>", Pattern.DOTALL);
    private static final Pattern CELL =
            Pattern.compile("<td data-column=\"([^\"]*)\" data-value=\"([^\"]*)\"[^>]*>([^<]*)<");

    /**
     * Makes the page as wide as a phone and says of it what its text does not: how it is laid out, and whether something
     * was painted.
     */
    private static final String PROBE = """
            <style>html { width: 390px }</style>
            <script>setTimeout(() => {
            const root = document.documentElement;
            const charts = [...document.querySelectorAll(".chart canvas")];
            const isBlank = (c) => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.every((byte) => byte === 0);
            root.dataset.charts = charts.length;
            root.dataset.blank = charts.filter(isBlank).length;
            root.dataset.overflow = document.body.scrollWidth - 390;
            root.dataset.paper = getComputedStyle(document.body).backgroundColor;
            root.dataset.right = Math.max(...charts.map((c) => c.getBoundingClientRect().right));
            }, 3000)</script>
            """;

    @TempDir
    Path folder;

    private Path page;

    @BeforeEach
    void make() throws IOException {
        page = folder.resolve("page.html");
        List<Path> files = List.of(
                ReportSamples.file(folder, "a.json", ReportSamples.comparison("cpu", 512, 0.123456789)),
                ReportSamples.file(folder, "b.json", ReportSamples.comparison("cpu", 1024, 0.25)),
                ReportSamples.file(folder, "c.json", ReportSamples.comparison("sim:mi300x", 512, 0.1)),
                ReportSamples.file(folder, "plan.json", ReportSamples.plan()),
                ReportSamples.file(folder, "run.jsonl", ReportSamples.log()),
                ReportSamples.trace(folder));
        try (ReportFile out = ReportFile.create(page)) {
            out.writeBytes(HtmlReport.read(files)::write);
        }
    }

    private Map<String, MatchResult> figures(Chromium chromium) {
        assertEquals(List.of(), chromium.console());
        Map<String, MatchResult> figures = new TreeMap<>();
        FIGURE.matcher(chromium.dom()).results().forEach(figure -> figures.put(figure.group(1), figure));
        assertEquals(FIGURES.stream().sorted().toList(), List.copyOf(figures.keySet()));
        figures.forEach((name, figure) -> assertTrue(figure.group(2).contains("data-rendered=\"true\""), name));
        return figures;
    }

    @Test
    void everyFigureIsDrawnAndTheTablesNumbersAreTheFiles() throws Exception {
        Map<String, MatchResult> figures = figures(Chromium.open(page, folder, ""));
        List<String> files = List.of("a.json", "b.json", "c.json");
        for (int i = 0; i < files.size(); i++) {
            Map<?, ?> expected = ReportSamples.tree(Files.readString(folder.resolve(files.get(i))));
            assertTable(
                    (List<?>) expected.get("schemes"),
                    figures.get("comparison-" + i).group(3));
        }
        String first = figures.get("comparison-0").group(3);
        assertTrue(first.contains("skipped: needs 9.9 GiB"), first);
        assertTrue(first.contains("class=\"best\""), first);
    }

    private static void assertTable(List<?> schemes, String table) {
        List<MatchResult> rows = ROW.matcher(table).results().toList();
        assertEquals(schemes.size(), rows.size());
        double unit = number(schemes.getFirst(), "tokensPerSecond");
        for (int i = 0; i < rows.size(); i++) {
            Map<?, ?> scheme = (Map<?, ?>) schemes.get(i);
            assertEquals(scheme.get("scheme"), rows.get(i).group(1));
            if (scheme.get("stepSeconds") != null) {
                Map<String, Double> cells = new HashMap<>();
                CELL.matcher(rows.get(i).group(2))
                        .results()
                        .forEach(cell -> cells.put(cell.group(1), Double.valueOf(cell.group(2))));
                Map<String, Double> expected = new HashMap<>(Map.of(
                        "ranks", number(scheme, "ranks"),
                        "tokens/s", number(scheme, "tokensPerSecond"),
                        "ratio to", number(scheme, "tokensPerSecond") / unit,
                        "step", 1e3 * number(scheme, "stepSeconds"),
                        "planned", number(scheme, "plannedPeakBytes"),
                        "measured", number(scheme, "measuredPeakBytes"),
                        "sent", number(scheme, "bytesSent"),
                        "exposed", 1e3 * number(scheme, "exposedTransferSeconds"),
                        "skew", 1e3 * number(scheme, "skewSeconds")));
                if (scheme.get("maxError") != null) {
                    expected.put("max", number(scheme, "maxError"));
                }
                assertEquals(expected, cells);
            }
        }
    }

    private static double number(Object scheme, String name) {
        return ((Number) ((Map<?, ?>) scheme).get(name)).doubleValue();
    }

    @Test
    void whatIsSavedIsWhatTheFilesSay() throws Exception {
        Map<String, MatchResult> figures = figures(Chromium.open(page, folder, ""));
        Map<?, ?> file = ReportSamples.tree(Files.readString(folder.resolve("a.json")));
        Map<?, ?> saved = (Map<?, ?>) saved(figures.get("comparison-0"));
        assertEquals(ReportSamples.HOSTILE, saved.get("model"));
        assertEquals(
                number(((List<?>) file.get("schemes")).get(1), "stepSeconds"),
                number(((List<?>) saved.get("schemes")).get(1), "stepSeconds"));
        List<?> memory = (List<?>) saved(figures.get("memory-1"));
        assertEquals(
                Map.of("parameters", 6169600L, "kvCache", 306944L), ((Map<?, ?>) memory.get(1)).get("bytesByClass"));
        List<?> lines = (List<?>) saved(figures.get("sequence-0"));
        assertTrue(
                lines.toString()
                        .contains("{name=tsp on 4, points=[{seq=512, bytes=8711936}, {seq=1024, bytes=8712448}]}"),
                lines.toString());
        List<?> runs = (List<?>) saved(figures.get("training-loss"));
        assertTrue(
                runs.toString().contains("{step=2, loss=5.25, evaluationLoss=5.5}, {step=3, loss=4.75}"),
                runs.toString());
        List<?> predictions = (List<?>) saved(figures.get("prediction-0"));
        Map<?, ?> tsp = (Map<?, ?>) predictions.get(1);
        assertEquals(0.07 / number(((List<?>) file.get("schemes")).get(1), "stepSeconds"), number(tsp, "stepRatio"));
        assertEquals(8711936.0 / 8711072, number(tsp, "memoryRatio"));
    }

    private static Object saved(MatchResult figure) throws IOException {
        List<MatchResult> links = LINK.matcher(figure.group(3)).results().toList();
        assertEquals(1, links.size());
        String json = URLDecoder.decode(links.getFirst().group(1).replace("+", "%2B"), StandardCharsets.UTF_8);
        return new ArrayList<Object>(
                        ReportSamples.tree("{\"data\":" + json + "}").values())
                .getFirst();
    }

    @Test
    void simulatedNumbersSaySo() throws Exception {
        String dom = Chromium.open(page, folder, "").dom();
        assertTrue(dom.contains("<p class=\"notice\">Simulated with profile mi300x (hash 0a1b2c)"), "no notice");
        assertEquals(
                dom.indexOf("class=\"notice\""), dom.lastIndexOf("class=\"notice\""), "for the simulated one alone");
    }

    @Test
    void textsNeverBecomeMarkup() throws Exception {
        String dom = Chromium.open(page, folder, "").dom();
        assertTrue(dom.contains("<h1>&lt;/script&gt;&lt;b&gt;a &amp; \"b\" \u2028 Ω</h1>"), dom.substring(0, 2000));
        assertFalse(dom.contains("<b>a"), "a text became markup");
    }

    @Test
    void theTimelineShowsWaitsAndTheViewThatTheAddressNames() throws Exception {
        String whole =
                figures(Chromium.open(page, folder, "")).get("timeline-0").group(2);
        assertTrue(whole.contains("data-view=\"tp 0 12344\""), whole);
        assertTrue(
                whole.contains("data-exposed-nanos=\"" + ReportSamples.trace(0).exposedTransferNanos() + "\""), whole);
        assertTrue(whole.contains("data-skew-nanos=\"" + ReportSamples.trace(1).skewNanos() + "\""), whole);
        String zoomed = figures(Chromium.open(page, folder, "#trace=0&run=single&from=2000&to=6000"))
                .get("timeline-0")
                .group(2);
        assertTrue(zoomed.contains("data-view=\"single 2000 6000\""), zoomed);
        String nonsense = figures(Chromium.open(page, folder, "#trace=0&run=%3Cb%3E&from=x&to=-1"))
                .get("timeline-0")
                .group(2);
        assertTrue(nonsense.contains("data-view=\"tp 0 12344\""), nonsense);
    }

    @Test
    void aPhoneInTheDarkShowsAllOfIt() throws Exception {
        Path probed = folder.resolve("probed.html");
        String text = Files.readString(page);
        int end = text.lastIndexOf("</body>");
        Files.writeString(probed, text.substring(0, end) + PROBE + text.substring(end));
        Chromium dark =
                Chromium.open(probed, folder, "", "--window-size=390,844", "--blink-settings=preferredColorScheme=0");
        figures(dark);
        assertTrue(dark.dom().contains("data-paper=\"rgb(21, 24, 28)\""), "not dark");
        assertTrue(dark.dom().contains("data-overflow=\"0\""), "wider than the phone");
        double right = Double.parseDouble(dark.dom().replaceAll("(?s).*data-right=\"([0-9.]+)\".*", "$1"));
        assertTrue(right <= 390 - 17, "a chart ends at " + right);
        assertTrue(dark.dom().contains("data-charts=\"10\""), "not all charts have a canvas");
        assertTrue(dark.dom().contains("data-blank=\"0\""), "a chart is blank");
        Chromium light = Chromium.open(probed, folder, "", "--window-size=390,844");
        assertTrue(light.dom().contains("data-paper=\"rgb(255, 255, 255)\""), "not light");
    }
}
