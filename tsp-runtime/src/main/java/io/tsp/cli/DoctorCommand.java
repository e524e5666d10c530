package io.tsp.cli;

import io.tsp.report.DoctorReport;
import io.tsp.report.DoctorReport.Level;
import io.tsp.report.DoctorReport.Section;
import io.tsp.report.ReportFile;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Looks at the machine, the libraries and the environment, and says what is missing. */
@Command(
        name = "doctor",
        description = {
            "Shows processor, memory, Java, native libraries and their versions, accelerators, and settings of the"
                    + " environment that slow a run down or break it, with what to do about each.",
            "",
            "Exits with 77 if a library that every run needs is not usable, otherwise with 0."
        },
        mixinStandardHelpOptions = true,
        abbreviateSynopsis = true,
        sortOptions = false,
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {"  tsp doctor", "  tsp doctor --json doctor.json"})
final class DoctorCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Option(names = "--json", paramLabel = "FILE", description = "Write the findings as JSON, too.")
    private @Nullable Path json;

    DoctorCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        try (ReportFile file = json == null ? null : ReportFile.create(json)) {
            DoctorReport report = examine(terminal.environment(), Path.of("/"));
            show(report);
            if (file != null) {
                file.write(report::write);
            }
            return report.count(Level.ERROR) == 0 ? ExitCode.OK.code() : ExitCode.LIBRARY.code();
        }
    }

    private static DoctorReport examine(Map<String, String> environment, Path root) {
        return new DoctorReport(List.of(
                new Section("machine", new MachineChecks(root).findings()),
                new Section("java", JavaChecks.findings()),
                new Section("libraries", new LibraryChecks(environment).findings()),
                new Section("accelerators", new AcceleratorChecks(environment, root).findings()),
                new Section("environment", new EnvironmentChecks(environment).findings())));
    }

    private void show(DoctorReport report) {
        for (String line : report.lines()) {
            terminal.out().println(line.startsWith(" ") ? line : terminal.heading(line));
        }
        long warnings = report.count(Level.WARNING);
        String verdict =
                report.count(Level.ERROR) == 0 ? "This machine can run tsp" : "This machine cannot run tsp yet";
        terminal.out().println();
        terminal.out()
                .println(verdict
                        + (warnings == 0
                                ? "."
                                : "; " + warnings + (warnings == 1 ? " warning is" : " warnings are")
                                        + " worth a look."));
    }
}
