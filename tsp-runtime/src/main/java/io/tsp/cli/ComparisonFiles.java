package io.tsp.cli;

import io.tsp.evaluate.SchemeResult;
import io.tsp.evaluate.SchemeResult.Measured;
import io.tsp.report.ComparisonReport;
import io.tsp.report.HtmlReport;
import io.tsp.report.ReportFile;
import io.tsp.report.TraceReport;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Files that a comparison is written to, opened before the work, to find out early that they cannot be written.
 *
 * @param json null if the user wants none; so are the others
 */
record ComparisonFiles(
        @Nullable ReportFile json,
        @Nullable ReportFile trace,
        @Nullable ReportFile page) implements AutoCloseable {

    static ComparisonFiles open(OutputOptions outputs, @Nullable Path html) {
        ReportFile json = outputs.openJson();
        try {
            ReportFile trace = outputs.openTrace();
            try {
                return new ComparisonFiles(json, trace, html == null ? null : ReportFile.create(html));
            } catch (RuntimeException e) {
                close(trace);
                throw e;
            }
        } catch (RuntimeException e) {
            close(json);
            throw e;
        }
    }

    void write(ComparisonReport report) {
        List<TraceReport.Run> runs = traces(report.results());
        if (json != null) {
            json.write(report::write);
        }
        if (trace != null) {
            trace.writeCompact(generator -> TraceReport.write(runs, generator));
        }
        if (page != null) {
            page.writeBytes(HtmlReport.of(report, runs, "tsp compare", Instant.now())::write);
        }
    }

    private static List<TraceReport.Run> traces(List<SchemeResult> results) {
        List<TraceReport.Run> runs = new ArrayList<>();
        for (SchemeResult result : results) {
            Measured measured = result.measured();
            if (measured != null) {
                runs.add(new TraceReport.Run(result.scheme(), measured.traces()));
            }
        }
        return runs;
    }

    @Override
    public void close() {
        close(page);
        close(trace);
        close(json);
    }

    private static void close(@Nullable ReportFile file) {
        if (file != null) {
            file.close();
        }
    }
}
