package io.tsp.cli;

import io.tsp.launch.LaunchException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Where a process begins and ends: reads the command, runs its verb, turns failures into a sentence and a code. */
public final class Main {
    private static final int WIDTH = 100;

    private Main() {}

    /** Exits with one of the codes that {@code tsp --help} lists. */
    public static void main(String[] args) {
        Terminal terminal = Terminal.standard();
        terminal.stop().installHook();
        int code = run(terminal, args);
        terminal.stop().end(code);
        System.exit(code);
    }

    /** Runs a command and returns its exit code. */
    static int run(Terminal terminal, String... args) {
        try {
            return commandLine(terminal).execute(args);
        } catch (OutOfMemoryError e) {
            return fail(terminal, e, false);
        }
    }

    /** The whole command with all its verbs. */
    static CommandLine commandLine(Terminal terminal) {
        TspCommand command = new TspCommand();
        CommandLine line = new CommandLine(command)
                .addSubcommand(new CompareCommand(terminal))
                .addSubcommand(new EvalCommand(terminal))
                .addSubcommand(new TrainCommand(terminal))
                .addSubcommand(new PlanCommand(terminal))
                .addSubcommand(checkpoint(terminal))
                .addSubcommand(new ReportCommand(terminal))
                .addSubcommand(new DoctorCommand(terminal))
                .addSubcommand(new CommandLine.HelpCommand());
        line.getCommandSpec()
                .usageMessage()
                .footerHeading("%nExit codes:%n")
                .footer(Arrays.stream(ExitCode.values()).map(Main::described).toArray(String[]::new));
        line.setOut(terminal.out());
        line.setErr(terminal.err());
        line.setUsageHelpWidth(WIDTH);
        line.setColorScheme(Help.defaultColorScheme(terminal.hasColor() ? Help.Ansi.ON : Help.Ansi.OFF));
        line.setParameterExceptionHandler((e, _) -> misused(terminal, e));
        line.setExecutionExceptionHandler((e, _, _) -> fail(terminal, e, command.isDebugging()));
        line.setExecutionStrategy(parsed -> execute(terminal, parsed));
        return line;
    }

    private static CommandLine checkpoint(Terminal terminal) {
        return new CommandLine(new CheckpointCommand())
                .addSubcommand(new CheckpointInspectCommand(terminal))
                .addSubcommand(new CheckpointVerifyCommand(terminal))
                .addSubcommand(new CheckpointConvertCommand(terminal))
                .addSubcommand(new CheckpointReshardCommand(terminal));
    }

    private static String described(ExitCode code) {
        return String.format(Locale.ROOT, "  %2d  %s", code.code(), code.meaning());
    }

    private static int execute(Terminal terminal, ParseResult parsed) {
        if (CommandLine.printHelpIfRequested(parsed)) {
            return ExitCode.OK.code();
        }
        if (!parsed.hasSubcommand()) {
            say(terminal, "no verb is given; try tsp compare, or tsp --help for all of them");
            return ExitCode.USAGE.code();
        }
        return new CommandLine.RunLast().execute(parsed);
    }

    private static int misused(Terminal terminal, ParameterException e) {
        CommandLine command = e.getCommandLine();
        String words = e instanceof UnmatchedArgumentException unmatched
                ? unknown(unmatched, command)
                : String.valueOf(e.getMessage()).lines().map(String::strip).collect(Collectors.joining(" "));
        say(terminal, words + "; see " + command.getCommandSpec().qualifiedName() + " --help");
        return ExitCode.USAGE.code();
    }

    private static String unknown(UnmatchedArgumentException e, CommandLine command) {
        String first = e.getUnmatched().getFirst();
        if (first.startsWith("-")) {
            List<String> meant = e.getSuggestions();
            return "there is no option " + first
                    + (meant.isEmpty() ? "" : " (did you mean " + String.join(" or ", meant) + "?)");
        }
        return command.getSubcommands().isEmpty()
                ? "there is nothing to do with " + first
                : "there is no verb " + first + ", only "
                        + String.join(", ", command.getSubcommands().keySet());
    }

    private static int fail(Terminal terminal, Throwable thrown, boolean debug) {
        Failure failure = Failure.of(thrown);
        say(terminal, failure.sentence());
        if (debug) {
            thrown.printStackTrace(terminal.err());
        }
        return failure.code().code();
    }

    /** Ranks of a launcher fail alike for the same reason; which one speaks says the number. */
    private static void say(Terminal terminal, String sentence) {
        terminal.err().println("tsp" + speaker(terminal.environment()) + ": " + sentence);
    }

    private static String speaker(Map<String, String> environment) {
        try {
            OptionalInt rank = Clusters.launchedRank(environment);
            return rank.isPresent() ? " rank " + rank.getAsInt() : "";
        } catch (LaunchException e) {
            // This is what will be said.
            return "";
        }
    }
}
