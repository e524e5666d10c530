package io.tsp.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.model.ModelException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A page that shows results and needs nothing but itself: style, scripts, charts and data in one file. Style and scripts
 * lie beside this class as resources; {@link ReportData} is what they draw.
 */
public final class HtmlReport {
    /** The version is that of the webjar in pom.xml. */
    private static final String CHARTS = "/META-INF/resources/webjars/echarts/5.3.1/dist/echarts.common.min.js";

    /** In the order in which each needs what stands before it. */
    private static final List<String> SCRIPTS = List.of(
            "page.js",
            "charts.js",
            "heading.js",
            "comparison.js",
            "memory.js",
            "sequence.js",
            "timeline-data.js",
            "timeline-view.js",
            "timeline.js",
            "prediction.js",
            "training.js",
            "main.js");

    private final ReportData data;

    private HtmlReport(List<ReportInput> inputs) {
        data = new ReportData(inputs);
    }

    /**
     * Reads results: comparisons, plans, traces and training logs, recognised by what they hold.
     *
     * @throws ModelException of part FILE if one of them is something else
     */
    public static HtmlReport read(List<Path> files) {
        return new HtmlReport(files.stream().map(ReportReader::read).toList());
    }

    /**
     * A comparison of the present process, with what happened when.
     *
     * @param name what is said about where it came from
     */
    public static HtmlReport of(ComparisonReport comparison, List<TraceReport.Run> runs, String name, Instant date) {
        ReportInput.Source source = new ReportInput.Source(name, date);
        List<ReportInput> inputs = new ArrayList<>(List.of(readBack(source, comparison::write)));
        if (!runs.isEmpty()) {
            inputs.add(readBack(source, json -> TraceReport.write(runs, json)));
        }
        return new HtmlReport(inputs);
    }

    /** What a file would have said, so that there is one way into the page. */
    private static ReportInput readBack(ReportInput.Source source, ReportFile.Body body) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
                body.write(json);
            }
            return ReportReader.read(source, new ByteArrayInputStream(bytes.toByteArray()));
        } catch (IOException e) {
            throw new UncheckedIOException("memory does no input or output", e);
        }
    }

    /** Writes the page, UTF-8. */
    public void write(OutputStream out) throws IOException {
        String page = new String(resource("page.html"), StandardCharsets.UTF_8);
        int written = 0;
        for (String part : List.of("style", "data", "scripts")) {
            String mark = "<!--" + part + "-->";
            int at = page.indexOf(mark, written);
            text(out, page.substring(written, at));
            switch (part) {
                case "style" -> out.write(resource("report.css"));
                case "data" -> data.write(out);
                default -> writeScripts(out);
            }
            written = at + mark.length();
        }
        text(out, page.substring(written));
    }

    private static void writeScripts(OutputStream out) throws IOException {
        text(out, "<script>\n");
        out.write(resource(CHARTS));
        text(out, "\n</script>\n<script>\n(() => {\n\"use strict\";\n");
        for (String script : SCRIPTS) {
            out.write(resource(script));
        }
        text(out, "})();\n</script>\n");
    }

    static void text(OutputStream out, String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] resource(String name) throws IOException {
        try (InputStream stream = Objects.requireNonNull(HtmlReport.class.getResourceAsStream(name), name)) {
            return stream.readAllBytes();
        }
    }
}
