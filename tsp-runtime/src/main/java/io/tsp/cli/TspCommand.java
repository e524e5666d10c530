package io.tsp.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** The command without a verb. */
@Command(
        name = "tsp",
        description = "Runs decoder-only transformers over many ranks with folded tensor and sequence parallelism.",
        mixinStandardHelpOptions = true,
        versionProvider = TspCommand.Version.class,
        synopsisSubcommandLabel = "VERB",
        sortOptions = false,
        commandListHeading = "%nVerbs:%n",
        optionListHeading = "%nOptions:%n")
final class TspCommand {
    @Option(names = "--debug", scope = ScopeType.INHERIT, description = "Show where in the program an error came from.")
    private boolean debug;

    /** Whether the user wants to see stack traces. */
    boolean isDebugging() {
        return debug;
    }

    /** The version of this build. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            String version = TspCommand.class.getPackage().getImplementationVersion();
            return new String[] {"tsp " + (version == null ? "(not packaged)" : version), "Java " + Runtime.version()};
        }
    }
}
