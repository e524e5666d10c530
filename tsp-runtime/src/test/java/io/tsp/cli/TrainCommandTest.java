package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.ModelDirectory;
import io.tsp.checkpoint.ModelWriter;
import io.tsp.parity.DamagedWeights;
import io.tsp.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that {@code tsp train} learns nothing, or goes on after a stop with other numbers. */
class TrainCommandTest {
    private static final int STEPS = 10;
    private static final double TOLERANCE = 1e-4;

    @TempDir
    private Path folder;

    private Path first;
    private Path second;

    /** How ranks share the model, and what else decides the numbers. */
    record Layout(String scheme, int degree, int dp, String dtype, int accumulate, List<String> more) {
        Layout(String scheme, int degree, int dp, String dtype, int accumulate) {
            this(scheme, degree, dp, dtype, accumulate, List.of());
        }

        Layout with(String... options) {
            return new Layout(scheme, degree, dp, dtype, accumulate, List.of(options));
        }

        List<Object> arguments() {
            List<Object> words = new ArrayList<>(List.of(
                    "--scheme", scheme, "--degree", degree, "--dp", dp, "--dtype", dtype, "--accumulate", accumulate));
            words.addAll(more);
            return words;
        }
    }

    @BeforeEach
    void writeTexts() throws IOException {
        first = folder.resolve("first.txt");
        second = folder.resolve("second.txt");
        Files.writeString(first, "The quick brown fox jumps over the lazy dog, and the dog sleeps on.\n".repeat(60));
        Files.writeString(second, "A cat sat on the mat; nobody knows what the cat thinks of it.\n".repeat(50));
    }

    private static Layout single() {
        return new Layout("single", 1, 1, "f32", 1);
    }

    static Stream<Layout> layouts() {
        return Stream.of(
                new Layout("tsp", 3, 1, "bf16", 2),
                new Layout("tsp", 2, 2, "f32", 1),
                new Layout("tp+sp:2x2", 4, 1, "bf16", 1),
                new Layout("fsdp+sp", 4, 1, "f32", 2),
                new Layout("sp", 2, 1, "bf16", 1),
                new Layout("sp", 2, 1, "bf16", 1).with("--shard-optimizer"),
                new Layout("tp+sp:2x2", 4, 1, "bf16", 2).with("--shard-optimizer"),
                new Layout("fsdp+sp", 2, 2, "f32", 1).with("--shard-optimizer"),
                new Layout("tsp", 2, 1, "bf16", 2).with("--recompute", "none"));
    }

    private Object[] command(Path out, Layout layout, Object... more) {
        List<Object> words = new ArrayList<>(List.of("train", "--data", first, second, "--batch", 4));
        if (!List.of(more).contains("--model")) {
            words.addAll(List.of("--model", Cli.FIXTURES.resolve("text")));
        }
        words.addAll(List.of("--lr", 0.01, "--out", out, "--log", out + ".jsonl"));
        words.addAll(layout.arguments());
        if (!List.of(more).contains("--steps")) {
            words.addAll(List.of("--steps", STEPS));
        }
        if (!List.of(more).contains("--seq")) {
            words.addAll(List.of("--seq", 24));
        }
        words.addAll(List.of(more));
        return words.toArray();
    }

    private Cli train(Path out, Layout layout, Object... more) {
        return Cli.ok(command(out, layout, more));
    }

    private static Map<Integer, Double> losses(Path out) throws IOException {
        Map<Integer, Double> losses = new TreeMap<>();
        for (String line : Files.readAllLines(Path.of(out + ".jsonl"))) {
            losses.put((int) number(line, "step"), number(line, "loss"));
        }
        return losses;
    }

    private static double number(String line, String field) {
        Matcher matcher = Pattern.compile("\"" + field + "\":([-+0-9.eE]+)").matcher(line);
        assertTrue(matcher.find(), () -> "no " + field + " in " + line);
        return Double.parseDouble(matcher.group(1));
    }

    /** What a checkpoint's ranks have saved. */
    private static String digest(Path checkpoint) throws IOException {
        try (Stream<Path> files = Files.list(checkpoint)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (Path file : files.sorted().toList()) {
                if (file.getFileName().toString().startsWith("rank-")) {
                    digest.update(Files.readAllBytes(file));
                }
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Path step(Path out, int step) {
        return out.resolve(String.format("step-%06d", step));
    }

    /** A folder as it was when only the checkpoint of a step was in it. */
    private Path stoppedAfter(Path out, int step) throws IOException {
        Path copy = folder.resolve(out.getFileName() + "-stopped-" + step);
        Path target = Files.createDirectories(step(copy, step));
        try (Stream<Path> files = Files.list(step(out, step))) {
            for (Path file : files.toList()) {
                Files.copy(file, target.resolve(file.getFileName()));
            }
        }
        return copy;
    }

    @Test
    void learnsAndSaysHowFarItIs() throws IOException {
        Path out = folder.resolve("run");
        Cli cli = train(out, single(), "--steps", 40, "--sample-every", 20, "--sample-prompt", "The quick");
        List<String> lines = Files.readAllLines(Path.of(out + ".jsonl"));
        assertEquals(40, lines.size());
        assertTrue(number(lines.getLast(), "loss") < 0.5 * number(lines.getFirst(), "loss"), lines::toString);
        assertEquals(4 * 24, number(lines.getFirst(), "tokens"));
        assertEquals(0.005, number(lines.getFirst(), "learningRate"), 1e-12, "2 steps of warm-up");
        assertEquals(0.001, number(lines.getLast(), "learningRate"), 1e-12, "a tenth at the end");
        assertTrue(number(lines.getLast(), "evaluationLoss") < 3, lines::toString);
        assertTrue(number(lines.getFirst(), "peakBytes") > 100_000, lines::toString);
        assertTrue(number(lines.getFirst(), "gradNorm") > 0, lines::toString);
        assertEquals(
                2,
                lines.stream()
                        .filter(line -> line.contains("\"sample\":\"The quick"))
                        .count());
        assertTrue(cli.out().contains("done after step 40 of 40"), cli.out());
        assertTrue(cli.out().contains("    The quick"), cli.out());
        try (Stream<Path> kept = Files.list(out)) {
            assertEquals(
                    List.of("step-000032", "step-000036", "step-000040"),
                    kept.map(path -> path.getFileName().toString())
                            .filter(name -> name.startsWith("step-"))
                            .sorted()
                            .toList());
        }
    }

    @Test
    void isTheSameTwice() throws IOException {
        Layout layout = new Layout("tsp", 2, 1, "bf16", 2);
        train(folder.resolve("a"), layout);
        train(folder.resolve("b"), layout);
        assertEquals(losses(folder.resolve("a")), losses(folder.resolve("b")));
        assertEquals(digest(step(folder.resolve("a"), STEPS)), digest(step(folder.resolve("b"), STEPS)));
        train(folder.resolve("c"), layout, "--data-seed", 1);
        assertNotEquals(losses(folder.resolve("a")), losses(folder.resolve("c")), "the seed decides nothing");
    }

    @Test
    void goesOnBitForBitAfterAnyStep() throws IOException {
        assertResumes(single());
    }

    /** What ranks divide between them is saved once, and the same as without dividing. */
    @Test
    void aDividedOptimizerIsSavedOnceAndGoesOnUndivided() throws IOException {
        Layout whole = new Layout("sp", 3, 1, "bf16", 1);
        Layout divided = whole.with("--shard-optimizer");
        train(folder.resolve("a"), whole, "--save-every", 5);
        train(folder.resolve("b"), divided, "--save-every", 5);
        assertEquals(losses(folder.resolve("a")), losses(folder.resolve("b")));
        assertNotEquals(digest(step(folder.resolve("a"), STEPS)), digest(step(folder.resolve("b"), STEPS)));
        Path copy = stoppedAfter(folder.resolve("b"), 5);
        train(copy, whole, "--resume");
        assertEquals(digest(step(folder.resolve("a"), STEPS)), digest(step(copy, STEPS)));
        Path again = stoppedAfter(folder.resolve("a"), 5);
        train(again, divided, "--resume");
        assertEquals(digest(step(folder.resolve("b"), STEPS)), digest(step(again, STEPS)));
    }

    @Tag("long")
    @ParameterizedTest
    @MethodSource("layouts")
    void goesOnBitForBitAfterAnyStep(Layout layout) throws IOException {
        assertResumes(layout);
    }

    private void assertResumes(Layout layout) throws IOException {
        Path whole = folder.resolve("whole");
        train(whole, layout, "--save-every", 1, "--keep", STEPS);
        String expected = digest(step(whole, STEPS));
        Map<Integer, Double> losses = losses(whole);
        for (int stop = 1; stop < STEPS; stop++) {
            Path out = stoppedAfter(whole, stop);
            Cli cli = train(out, layout, "--resume");
            assertTrue(cli.out().contains("resumed after step " + stop + " "), cli.out());
            Map<Integer, Double> rest = new TreeMap<>(losses);
            rest.keySet().removeAll(Stream.iterate(1, i -> i + 1).limit(stop).toList());
            assertEquals(rest, losses(out), layout + ", losses after step " + stop);
            assertEquals(expected, digest(step(out, STEPS)), layout + ", stopped after step " + stop);
        }
    }

    /** The checkpoint decides all: two runs that go on under another scheme are the same, and near the first one. */
    @ParameterizedTest
    @ValueSource(strings = {"tsp", "fsdp+sp", "tp+sp:2x2", "ulysses"})
    void goesOnUnderAnotherScheme(String scheme) throws IOException {
        Layout other = new Layout(scheme, 4, 1, "f32", 1);
        Path whole = folder.resolve("whole");
        train(whole, single(), "--save-every", 5);
        Path once = stoppedAfter(whole, 5);
        train(once, other, "--resume");
        Path saved = Files.move(once, folder.resolve("once"));
        Files.move(Path.of(once + ".jsonl"), Path.of(saved + ".jsonl"));
        Path again = stoppedAfter(whole, 5);
        train(again, other, "--resume");
        assertEquals(digest(step(saved, STEPS)), digest(step(again, STEPS)));
        Map<Integer, Double> losses = losses(whole);
        losses(saved).forEach((step, loss) -> assertEquals(losses.get(step), loss, TOLERANCE, "step " + step));
        assertEquals(STEPS - 5, losses(saved).size());
    }

    @Test
    void stopsWhenAskedToAndCanBeResumed() throws IOException {
        Path whole = folder.resolve("whole");
        train(whole, single());
        Path out = folder.resolve("asked");
        StopRequest stop = new StopRequest();
        stop.make();
        Cli cli = Cli.stoppable(stop, Map.of(), command(out, single()));
        assertEquals(ExitCode.STOPPED.code(), cli.code(), cli.err());
        assertTrue(cli.out().contains("stopped after step 1 of 10"), cli.out());
        assertTrue(cli.out().contains("saved as " + step(out, 1)), cli.out());
        train(out, single(), "--resume");
        assertEquals(losses(whole), losses(out));
        assertEquals(digest(step(whole, STEPS)), digest(step(out, STEPS)));
    }

    @Test
    void refusesWhatDoesNotGoOnInOneSentence() throws IOException {
        Path out = folder.resolve("run");
        train(out, single(), "--steps", 2);
        assertRefused(
                2,
                "there is a checkpoint " + step(out, 2) + " of an earlier run; add --resume",
                command(out, single()));
        assertRefused(2, "was trained on other data", command(out, single(), "--resume", "--data-seed", 3));
        assertRefused(2, "was trained on other data", command(out, single(), "--resume", "--seq", 12));
        Cli done = Cli.ok(command(out, single(), "--resume", "--steps", 2));
        assertTrue(done.out().contains("has already been trained for 2 steps"), done.out());
        Path missing = folder.resolve("missing.txt");
        assertRefused(65, missing.toString(), command(folder.resolve("b"), single(), "--data", missing));
        assertRefused(2, "--steps must be 1 or more", command(folder.resolve("c"), single(), "--steps", 0));
        assertRefused(2, "--schedule is cosine", command(folder.resolve("d"), single(), "--schedule", "step"));
        assertRefused(2, "sequences of 5000 tokens", command(folder.resolve("e"), single(), "--seq", 5000));
        assertFalse(Files.exists(step(folder.resolve("e"), 0)), "something was saved");
    }

    @Test
    void endsWithoutSavingWhenANumberIsNotFinite() throws IOException {
        Path model = folder.resolve("damaged");
        String norm = "model.layers.1.input_layernorm.weight";
        try (ModelDirectory sound = ModelDirectory.open(Cli.FIXTURES.resolve("text"))) {
            byte[] tokenizer = Files.readAllBytes(Cli.FIXTURES.resolve("text/tokenizer.json"));
            ModelWriter.write(
                    model,
                    sound.config(),
                    new DamagedWeights(sound, norm, Float.NaN),
                    DType.F32,
                    Map.of("tokenizer.json", tokenizer));
        }
        Path out = folder.resolve("run");
        Layout layout = new Layout("tsp", 2, 1, "f32", 1);
        assertRefused(76, norm + " on rank 0 has NaN before the step", command(out, layout, "--model", model));
        try (Stream<Path> left = Files.list(out)) {
            assertFalse(left.anyMatch(path -> path.getFileName().toString().contains("step")), "something was saved");
        }
    }

    private static void assertRefused(int code, String words, Object... command) {
        Cli cli = Cli.run(command);
        assertEquals(code, cli.code(), cli.err());
        assertTrue(cli.err().contains(words), cli.err());
        assertEquals(1, cli.err().lines().count(), cli.err());
    }
}
