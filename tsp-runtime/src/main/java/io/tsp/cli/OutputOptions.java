package io.tsp.cli;

import io.tsp.report.ReportFile;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where results go besides the terminal. */
final class OutputOptions {
    @Option(names = "--json", paramLabel = "FILE", description = "Write the result as JSON, too.")
    private @Nullable Path json;

    @Option(
            names = "--trace",
            paramLabel = "FILE",
            description = "Write what happened when in a step, to be opened at ui.perfetto.dev.")
    private @Nullable Path trace;

    /** Null if the user wants none; opened before the work, to find out early that it cannot be written. */
    @Nullable
    ReportFile openJson() {
        return json == null ? null : ReportFile.create(json);
    }

    /** Null if the user wants none. */
    @Nullable
    ReportFile openTrace() {
        return trace == null ? null : ReportFile.create(trace);
    }
}
