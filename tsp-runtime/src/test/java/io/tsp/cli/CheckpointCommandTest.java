package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a checkpoint loses something on its way to another form, or that a damaged one passes. */
class CheckpointCommandTest {
    private static final Path MODEL = Cli.FIXTURES.resolve("text");

    @TempDir
    private static Path shared;

    private static Path text;
    private static Path checkpoint;

    @TempDir
    private Path folder;

    @BeforeAll
    static void train() throws IOException {
        text = shared.resolve("text.txt");
        Files.writeString(text, "What was learned stays learned, whatever shape it is kept in.\n".repeat(40));
        Path out = shared.resolve("run");
        train(out, "--model", MODEL, "--steps", 3, "--scheme", "tsp", "--degree", 3);
        checkpoint = out.resolve("step-000003");
    }

    private static Cli train(Path out, Object... more) {
        return Cli.ok(with(
                new Object[] {"train", "--data", text, "--seq", 24, "--batch", 4, "--out", out, "--lr", 0.01}, more));
    }

    private static Object[] with(Object[] words, Object... more) {
        Object[] all = Arrays.copyOf(words, words.length + more.length);
        System.arraycopy(more, 0, all, words.length, more.length);
        return all;
    }

    private static float[] logits(Path model, Path target) {
        Cli.ok("eval", "--model", model, "--text", text, "--seq", 32, "--batch", 2, "--logits", target);
        return Cli.floats(target, "logits");
    }

    @Test
    void inspectShowsWhatItIs() throws IOException {
        Path json = folder.resolve("inspect.json");
        Cli cli = Cli.ok("checkpoint", "inspect", checkpoint, "--json", json);
        assertTrue(cli.out().contains("step     3\n"), cli.out());
        assertTrue(cli.out().contains("scheme   tsp, 3 ranks"), cli.out());
        assertTrue(cli.out().contains("state    data.position = 12"), cli.out());
        assertTrue(cli.out().contains("rank-00002.safetensors"), cli.out());
        Map<String, Object> result = Cli.json(json);
        assertEquals(3.0, result.get("step"));
        assertEquals("f32", result.get("dtype"));
        assertEquals(6, ((List<?>) result.get("files")).size(), "3 ranks, configuration, tokenizer and its settings");
    }

    @Test
    void verifyFindsOneFlippedBit() throws IOException {
        assertTrue(Cli.ok("checkpoint", "verify", checkpoint).out().contains("is sound: step 3, 6 files"));
        Path copy = folder.resolve("step-000003");
        Files.createDirectories(copy);
        try (var files = Files.list(checkpoint)) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
        }
        Path rank = copy.resolve("rank-00001.safetensors");
        byte[] bytes = Files.readAllBytes(rank);
        bytes[bytes.length - 5] ^= 4;
        Files.write(rank, bytes);
        for (List<Object> command : List.<List<Object>>of(
                List.of("checkpoint", "verify", copy),
                List.of("checkpoint", "convert", copy, "--out", folder.resolve("model")),
                List.of("eval", "--model", copy, "--text", text))) {
            Cli cli = Cli.run(command.toArray());
            assertEquals(65, cli.code(), cli.err());
            assertTrue(cli.err().contains(rank.toString()), cli.err());
            assertEquals(1, cli.err().lines().count(), cli.err());
        }
        assertFalse(Files.exists(folder.resolve("model")));
    }

    /** The checkpoint itself, the exported directory, and the checkpoint cut for other ranks are the same model. */
    @Test
    void everyFormIsTheSameModel() throws IOException {
        Path exported = folder.resolve("model");
        Cli.ok("checkpoint", "convert", checkpoint, "--out", exported);
        Path resharded = folder.resolve("other");
        Cli.ok(
                "checkpoint",
                "reshard",
                checkpoint,
                "--scheme",
                "fsdp+sp",
                "--degree",
                2,
                "--dp",
                2,
                "--out",
                resharded);
        float[] logits = logits(checkpoint, folder.resolve("a.safetensors"));
        assertArrayEquals(logits, logits(exported, folder.resolve("b.safetensors")));
        assertArrayEquals(logits, logits(resharded.resolve("step-000003"), folder.resolve("c.safetensors")));
        assertEquals(
                Files.readString(MODEL.resolve("tokenizer.json")),
                Files.readString(exported.resolve("tokenizer.json")));
        Cli again = Cli.run("checkpoint", "convert", checkpoint, "--out", exported);
        assertEquals(2, again.code());
        assertTrue(again.err().contains("is not empty"), again.err());
    }

    /** Training goes on from the files for other ranks as from the first ones. */
    @Test
    void trainingGoesOnFromOtherFiles() throws IOException {
        Path resharded = folder.resolve("other");
        Cli.ok("checkpoint", "reshard", checkpoint, "--scheme", "sp", "--degree", 2, "--out", resharded);
        Path original = folder.resolve("original");
        Cli.ok("checkpoint", "reshard", checkpoint, "--scheme", "tsp", "--degree", 3, "--out", original);
        train(resharded, "--steps", 5, "--resume");
        train(original, "--steps", 5, "--resume");
        for (String file : List.of("rank-00000.safetensors", "manifest.json", "config.json")) {
            assertEquals(
                    -1,
                    Files.mismatch(
                            resharded.resolve("step-000005").resolve(file),
                            original.resolve("step-000005").resolve(file)),
                    file);
        }
    }

    @Test
    void aModelDirectoryBecomesACheckpointToBeginWith() throws IOException {
        Path imported = folder.resolve("imported");
        Cli.ok("checkpoint", "reshard", MODEL, "--scheme", "tsp", "--degree", 2, "--out", imported);
        assertArrayEquals(
                logits(MODEL, folder.resolve("a.safetensors")),
                logits(imported.resolve("step-000000"), folder.resolve("b.safetensors")));
        train(imported, "--steps", 2, "--resume");
        Path direct = folder.resolve("direct");
        train(direct, "--steps", 2, "--model", MODEL);
        Path rank = Path.of("step-000002", "rank-00000.safetensors");
        assertEquals(-1, Files.mismatch(imported.resolve(rank), direct.resolve(rank)));
    }

    @Test
    void whatIsNoCheckpointIsRefused() {
        Cli cli = Cli.run("checkpoint", "inspect", MODEL);
        assertEquals(65, cli.code());
        assertTrue(cli.err().contains("is not a checkpoint"), cli.err());
        assertEquals(2, Cli.run("checkpoint").code());
        assertEquals(2, Cli.run("checkpoint", "verify").code());
    }
}
