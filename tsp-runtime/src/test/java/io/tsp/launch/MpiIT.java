package io.tsp.launch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Processes under mpirun. A failure means that processes compute something else than threads do, or that a rank that
 * runs another program is not noticed.
 */
class MpiIT {
    private static final Path MODEL =
            Path.of("src/test/resources/fixtures/llama3").toAbsolutePath();
    private static final Path TOKENS = MODEL.resolve("oracle/s203.safetensors");

    @TempDir
    Path folder;

    private record Outcome(int exitCode, String output) {}

    @BeforeAll
    static void requireMpi() {
        assumeTrue(onPath("mpirun"), "skipped: there is no mpirun on this machine");
        assumeTrue(
                MpiIT.class.getResource("/io/tsp/ffm/native/linux-x86_64/libtsp_mpi.so") != null,
                "skipped: this build found no MPI to compile the shim with");
    }

    @ParameterizedTest
    @CsvSource({"tsp, 3, f32", "tsp, 3, bf16"})
    void processesEqualThreads(String scheme, int ranks, String dtype) throws Exception {
        requireEqual(scheme, ranks, dtype);
    }

    @ParameterizedTest
    @Tag("long")
    @CsvSource({"tsp, 4, bf16", "tp+sp:2x2, 4, bf16", "ulysses, 3, f32"})
    void processesEqualThreadsUnderOtherSchemes(String scheme, int ranks, String dtype) throws Exception {
        requireEqual(scheme, ranks, dtype);
    }

    /** Training, which begins with the same forward pass, is judged under every scheme. */
    private void requireEqual(String scheme, int ranks, String dtype) throws Exception {
        Path processes = folder.resolve("processes.safetensors");
        Path threads = folder.resolve("threads.safetensors");
        List<String> eval = List.of(
                "eval",
                "--model",
                MODEL.toString(),
                "--tokens",
                TOKENS.toString(),
                "--scheme",
                scheme,
                "--degree",
                String.valueOf(ranks),
                "--dtype",
                dtype,
                "--deadline",
                "60");
        requireSuccess(run(mpirun(ranks, java(eval, "--logits", processes.toString()))));
        requireSuccess(run(java(eval, "--logits", threads.toString())));
        assertArrayEquals(Files.readAllBytes(threads), Files.readAllBytes(processes), scheme + " " + dtype);
    }

    @ParameterizedTest
    @CsvSource({"tsp, 3, bf16"})
    void trainingInProcessesEqualsTrainingInThreads(String scheme, int ranks, String dtype) throws Exception {
        requireEqualTraining(scheme, ranks, dtype);
    }

    @ParameterizedTest
    @Tag("long")
    @CsvSource({
        "tp, 2, f32",
        "tp+sp-regions, 2, bf16",
        "sp, 3, f32",
        "tp+sp:2x2, 4, bf16",
        "fsdp+sp, 3, f32",
        "ulysses, 2, bf16"
    })
    void trainingInProcessesEqualsTrainingInThreadsUnderEveryScheme(String scheme, int ranks, String dtype)
            throws Exception {
        requireEqualTraining(scheme, ranks, dtype);
    }

    private void requireEqualTraining(String scheme, int ranks, String dtype) throws Exception {
        Path processes = folder.resolve("processes");
        Path threads = folder.resolve("threads");
        List<String> train = train(4, "--scheme", scheme, "--degree", String.valueOf(ranks), "--dtype", dtype);
        requireSuccess(run(mpirun(ranks, java(train, "--out", processes.toString()))));
        requireSuccess(run(java(train, "--out", threads.toString())));
        Path expected = threads.resolve("step-000004");
        Path found = processes.resolve("step-000004");
        List<String> names = names(expected);
        assertTrue(names.containsAll(List.of("manifest.json", "rank-00000.safetensors")), names::toString);
        assertEquals(names, names(found));
        for (String name : names) {
            assertEquals(-1, Files.mismatch(expected.resolve(name), found.resolve(name)), scheme + " " + name);
        }
    }

    /** The signal goes to a rank that is not the one that writes manifests. */
    @Test
    void allRanksStopWhenOneIsAskedTo() throws Exception {
        Path out = folder.resolve("asked");
        List<String> train = train(100_000, "--scheme", "tsp", "--degree", "2", "--save-every", "100000");
        Path log = Files.createTempFile(folder, "run", ".log");
        Process mpirun = start(mpirun(2, java(train, "--out", out.toString())), log);
        while (!Files.readString(log).contains("step 1 of") && mpirun.isAlive()) {
            Thread.sleep(50);
        }
        List<ProcessHandle> ranks = mpirun.children()
                .filter(child -> child.info().command().orElse("").endsWith("java"))
                .toList();
        assertEquals(2, ranks.size(), Files.readString(log));
        assertTrue(ranks.getLast().destroy());
        Outcome outcome = end(mpirun, log);
        assertEquals(75, outcome.exitCode, outcome.output);
        assertTrue(outcome.output.contains("stopped after step"), outcome.output);
        try (Stream<Path> saved = Files.list(out)) {
            assertEquals(
                    1,
                    saved.filter(path -> path.getFileName().toString().startsWith("step-"))
                            .count());
        }
    }

    private List<String> train(int steps, String... more) throws IOException {
        Path text = folder.resolve("text.txt");
        Files.writeString(
                text, "All ranks read the same text, and none reads more of it than the others.\n".repeat(40));
        return concat(
                Stream.of(
                        "train",
                        "--model",
                        MODEL.resolveSibling("text").toString(),
                        "--data",
                        text.toString(),
                        "--seq",
                        "24",
                        "--batch",
                        "4",
                        "--deadline",
                        "60",
                        "--steps",
                        String.valueOf(steps)),
                Arrays.stream(more));
    }

    private static List<String> names(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void aRankWithAnotherProgramIsNamed() throws Exception {
        List<String> eval = List.of("eval", "--model", MODEL.toString(), "--tokens", TOKENS.toString(), "--scheme");
        List<String> command = new ArrayList<>(mpirun(1, java(eval, "tsp")));
        command.addAll(List.of(":", "-n", "1"));
        command.addAll(java(eval, "tp"));
        Outcome outcome = run(command);
        assertEquals(73, outcome.exitCode, outcome.output);
        assertTrue(outcome.output.contains("built other programs than rank"), outcome.output);
    }

    private static void requireSuccess(Outcome outcome) {
        assertEquals(0, outcome.exitCode, outcome.output);
    }

    private static List<String> mpirun(int ranks, List<String> command) {
        return concat(
                Stream.of(
                        "mpirun",
                        "--allow-run-as-root",
                        "--oversubscribe",
                        "--mca",
                        "mpi_yield_when_idle",
                        "1",
                        "-n",
                        String.valueOf(ranks)),
                command.stream());
    }

    private static List<String> java(List<String> arguments, String... more) {
        Stream<String> jvm = Stream.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--illegal-native-access=deny",
                "-Xmx512m",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                "io.tsp.cli.Main");
        return concat(concat(jvm, arguments.stream()).stream(), Arrays.stream(more));
    }

    private static List<String> concat(Stream<String> first, Stream<String> second) {
        return Stream.concat(first, second).toList();
    }

    private Outcome run(List<String> command) throws IOException, InterruptedException {
        Path log = Files.createTempFile(folder, "run", ".log");
        return end(start(command, log), log);
    }

    private static Process start(List<String> command, Path log) throws IOException {
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().put("UCX_ERROR_SIGNALS", "");
        return builder.start();
    }

    private static Outcome end(Process process, Path log) throws IOException, InterruptedException {
        if (!process.waitFor(120, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("did not end within 120 s: " + Files.readString(log));
        }
        return new Outcome(process.exitValue(), Files.readString(log));
    }

    private static boolean onPath(String program) {
        return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(":"))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, program)));
    }
}
