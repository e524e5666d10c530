package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.InflaterInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a page needs more than itself, lets data become markup, or holds other numbers than the files. */
class HtmlReportTest {
    private static final Pattern SCRIPT = Pattern.compile("<script([^>]*)>(.*?)</script>", Pattern.DOTALL);

    @TempDir
    Path folder;

    private String page(Path... files) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        HtmlReport.read(List.of(files)).write(bytes);
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private Path comparison() {
        return ReportSamples.file(folder, "a<b>.json", ReportSamples.comparison("cpu", 512, 0.1));
    }

    private static List<String> scripts(String page, String kind) {
        List<String> scripts = new ArrayList<>();
        Matcher matcher = SCRIPT.matcher(page);
        while (matcher.find()) {
            if (matcher.group(1).contains(kind)) {
                scripts.add(matcher.group(2));
            }
        }
        return scripts;
    }

    @Test
    void nothingInATextEndsTheElementThatHoldsIt() throws IOException {
        String page = page(comparison());
        List<String> data = scripts(page, "application/json");
        assertEquals(1, data.size());
        assertFalse(data.getFirst().contains("<"), "markup in data");
        assertTrue(data.getFirst().chars().allMatch(c -> c < 128), "text beyond ASCII in data");
        Map<?, ?> comparisons =
                (Map<?, ?>) ((List<?>) ReportSamples.tree(data.getFirst()).get("comparisons")).getFirst();
        Map<?, ?> comparison = (Map<?, ?>) ((List<?>) comparisons.get("objects")).getFirst();
        assertEquals(ReportSamples.HOSTILE, comparison.get("model"));
    }

    @Test
    void thePageAsksForNothing() throws IOException {
        String page = page(comparison(), ReportSamples.trace(folder));
        assertTrue(page.contains("default-src 'none'"));
        String own = page.substring(0, page.indexOf("<script"));
        assertFalse(own.contains("src=\"") || own.contains("href=") || own.contains("@import") || own.contains("url("));
        // The charts and the page's own scripts: were one of them to hold the end of a script, there would be more.
        assertEquals(4, scripts(page, "").size());
        assertTrue(page.endsWith("</html>\n"));
    }

    /** What timeline-data.js does. */
    @Test
    void theNumbersOfATraceComeOutAgain() throws IOException {
        String page = page(ReportSamples.trace(folder));
        byte[] packed = Base64.getDecoder()
                .decode(scripts(page, "application/octet-stream").getFirst());
        try (InputStream numbers = new InflaterInputStream(new ByteArrayInputStream(packed))) {
            // single: the compute lane's starts and durations, names and categories, no waits.
            assertEquals(List.of(0L, 10_006L, 1_993L), next(numbers, 3));
            assertEquals(List.of(1_233L, 1_993L, 345L), next(numbers, 3));
            assertEquals(List.of(0L, 3L, 3L, 0L, 0L, 0L), next(numbers, 6));
            // Its exchange, within which it waited for peers.
            assertEquals(List.of(1_233L, 8_765L, 1L, 1L, 1_233L, 3_766L), next(numbers, 6));
            // Compute waited for peers, then for bytes.
            assertEquals(List.of(1_299L, 3_700L, 3_700L, 5_007L, 1L, 0L), next(numbers, 6));
        }
    }

    private static List<Long> next(InputStream numbers, int count) throws IOException {
        List<Long> values = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            long value = 0;
            int shift = 0;
            int next;
            do {
                next = numbers.read();
                value |= (long) (next & 127) << shift;
                shift += 7;
            } while (next > 127);
            values.add(value);
        }
        return values;
    }
}
