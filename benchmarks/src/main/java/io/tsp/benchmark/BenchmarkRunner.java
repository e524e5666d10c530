package io.tsp.benchmark;

import io.tsp.ffm.NativeLibraryException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Runs the benchmarks of a theme; started by {@code scripts/bench}. Arguments: the theme, then {@code --quick} for a
 * trial in seconds, {@code --json FILE}, and any options of JMH. The table goes to standard output, what JMH says
 * meanwhile to standard error.
 */
public final class BenchmarkRunner {
    private static final int USAGE = 2;
    private static final int FAILED = 70;
    private static final int NO_LIBRARY = 77;
    private static final String RUN_PREFIX = "tsp.benchmark.run.";
    private static final TimeValue QUICK_WARMUP = TimeValue.milliseconds(100);
    private static final TimeValue QUICK_ITERATION = TimeValue.milliseconds(200);
    private static final int QUICK_ITERATIONS = 3;

    private final Theme theme;
    private final List<String> arguments;

    private BenchmarkRunner(Theme theme, List<String> arguments) {
        this.theme = theme;
        this.arguments = arguments;
    }

    public static void main(String[] arguments) {
        try {
            Theme theme = Theme.of(arguments.length == 0 ? "" : arguments[0]);
            new BenchmarkRunner(theme, new ArrayList<>(Arrays.asList(arguments).subList(1, arguments.length))).run();
        } catch (IllegalArgumentException | CommandLineOptionException e) {
            exit(USAGE, e);
        } catch (NativeLibraryException e) {
            exit(NO_LIBRARY, e);
        } catch (RunnerException | IOException e) {
            exit(FAILED, e);
        }
    }

    private static void exit(int code, Exception e) {
        System.err.println("bench: " + rootOf(e).getMessage());
        System.exit(code);
    }

    /** JMH wraps what a benchmark threw, partly as suppressed exceptions. */
    private static Throwable rootOf(Throwable e) {
        Throwable cause = e.getCause();
        if (cause != null) {
            return rootOf(cause);
        }
        return e.getSuppressed().length > 0 ? rootOf(e.getSuppressed()[0]) : e;
    }

    private void run() throws RunnerException, IOException, CommandLineOptionException {
        boolean quick = arguments.remove("--quick");
        String json = remove("--json");
        if (Machine.isCuda()) {
            requireGpu(quick);
        }
        ChainedOptionsBuilder options = new OptionsBuilder()
                .parent(new CommandLineOptions(arguments.toArray(String[]::new)))
                .mode(Mode.AverageTime)
                .timeUnit(TimeUnit.NANOSECONDS)
                .shouldFailOnError(true);
        benchmarks().forEach(benchmark -> options.include(benchmark.getName() + "\\."));
        if (quick) {
            makeQuick(options);
        }
        List<Measured> results = new Runner(
                        options.build(), OutputFormatFactory.createFormatInstance(System.err, VerboseMode.NORMAL))
                .run().stream().map(Measured::of).toList();
        ResultTable.lines(theme, results).forEach(System.out::println);
        if (json != null) {
            ResultFile.write(Path.of(json), theme, facts(), results);
        }
    }

    /** Those of the theme that this machine can run. */
    private List<Class<?>> benchmarks() {
        String why = theme == Theme.DOWNCALL ? CudaDowncallBenchmark.whyNot() : "";
        if (why.isEmpty()) {
            return theme.benchmarks();
        }
        System.err.println("bench: " + why);
        return theme.benchmarks().stream()
                .filter(benchmark -> benchmark != CudaDowncallBenchmark.class)
                .toList();
    }

    private static void requireGpu(boolean quick) {
        try (CudaMachine machine = CudaMachine.open()) {
            if (machine.isEmulated() && !quick) {
                throw new IllegalArgumentException("this GPU is emulated, so its times say nothing; use --quick");
            }
        }
    }

    private @Nullable String remove(String option) {
        int index = arguments.indexOf(option);
        if (index < 0) {
            return null;
        }
        if (index + 1 == arguments.size()) {
            throw new IllegalArgumentException(option + " needs a value");
        }
        arguments.remove(index);
        return arguments.remove(index);
    }

    private void makeQuick(ChainedOptionsBuilder options) {
        options.forks(1)
                .warmupIterations(1)
                .warmupTime(QUICK_WARMUP)
                .measurementIterations(QUICK_ITERATIONS)
                .measurementTime(QUICK_ITERATION);
        theme.quickParameters().forEach(options::param);
    }

    /** What the script knows of the run, in the order of the names. */
    private static Map<String, String> facts() {
        Map<String, String> facts = new LinkedHashMap<>();
        System.getProperties().stringPropertyNames().stream()
                .filter(name -> name.startsWith(RUN_PREFIX))
                .sorted()
                .forEach(name -> facts.put(name.substring(RUN_PREFIX.length()), System.getProperty(name)));
        return facts;
    }
}
