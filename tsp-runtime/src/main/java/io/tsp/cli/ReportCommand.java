package io.tsp.cli;

import io.tsp.report.HtmlReport;
import io.tsp.report.ReportFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Makes a page of results. */
@Command(
        name = "report",
        description = {
            "Makes one HTML page of results, to be opened in any browser; it needs no network.",
            "",
            "Takes any number of files of compare --json, plan --json, --trace and train --log, in any order, and finds"
                    + " out what each is. Comparisons become a table and bars of memory; several sequence lengths, a"
                    + " curve of memory; a trace, a timeline that shows where compute waited; a plan or a simulated"
                    + " comparison beside a measured one, predicted over measured; a log, curves of loss. The data of"
                    + " each figure can be saved from the page as JSON."
        },
        mixinStandardHelpOptions = true,
        sortOptions = false,
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  tsp compare --json compare.json --trace trace.json && tsp report compare.json trace.json",
            "  tsp report short.json long.json run.jsonl --out results.html"
        })
final class ReportCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "Results, traces, logs.")
    private List<Path> files = List.of();

    @Option(names = "--out", paramLabel = "FILE", description = "The page. Default: report.html.")
    private Path out = Path.of("report.html");

    ReportCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        requireOther();
        try (ReportFile page = ReportFile.create(out)) {
            page.writeBytes(HtmlReport.read(files)::write);
        }
        terminal.out().println(out);
        return ExitCode.OK.code();
    }

    /** A page in place of a result would be a loss. */
    private void requireOther() {
        for (Path file : files) {
            try {
                if (Files.exists(out) && Files.isSameFile(file, out)) {
                    throw new UsageException("--out is " + out + ", which is one of the results; choose another name");
                }
            } catch (IOException e) {
                // Whoever reads or writes the file will say what is wrong with it.
            }
        }
    }
}
