package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a run could go on from numbers that nobody saved. */
class DamagedCheckpointTest {
    private static final String NAME = "step-000007";

    @TempDir
    static Path directory;

    private static Path good;
    private static Path otherStep;

    @BeforeAll
    static void save() {
        SmallRun run = SmallRun.byRows(2);
        for (long step : List.of(7L, 8L)) {
            try (CheckpointStore store = CheckpointStore.open(directory.resolve("good"), 2)) {
                run.save(store, step);
            }
        }
        good = directory.resolve("good").resolve(NAME);
        otherStep = directory.resolve("good/step-000008");
    }

    @Test
    void theUndamagedOneIsRead() throws IOException {
        assertEquals(7, SmallRun.requireWhole(copy("undamaged")).step());
        Path signed = copy("signed");
        Damage.edit(signed, text -> text.replace("\"seed\" : \"7\"", "\"seed\" : \"9\""));
        assertEquals("9", SmallRun.requireWhole(signed).state().get("seed"));
    }

    @TestFactory
    Stream<DynamicTest> isRefused() {
        List<Damage> damages = new ArrayList<>();
        addMissing(damages);
        addBytes(damages);
        addForeign(damages);
        ManifestDamages.addTo(damages);
        assertTrue(damages.size() >= 100, () -> damages.size() + " damages");
        return damages.stream().map(damage -> DynamicTest.dynamicTest(damage.name(), () -> assertRefused(damage)));
    }

    private static void assertRefused(Damage damage) throws IOException {
        Path checkpoint = copy(damage.name().replaceAll("[^A-Za-z0-9.]+", "-"));
        damage.spoiling().spoil(checkpoint);
        ModelException refusal = assertThrows(
                ModelException.class, () -> Checkpoint.open(checkpoint).close());
        String message = refusal.getMessage();
        assertTrue(
                Pattern.compile(Pattern.quote(checkpoint + "/" + damage.file()) + "[^a-z.]|\\b"
                                + Pattern.quote(damage.file()) + "[^a-z.]")
                        .matcher(message)
                        .find(),
                message);
        assertTrue(message.chars().noneMatch(Character::isISOControl), message);
        assertTrue(message.length() < 1500, message);
    }

    private static void addMissing(List<Damage> damages) {
        for (String file : Damage.EVERY) {
            damages.add(new Damage("missing " + file, file, path -> Files.delete(path.resolve(file))));
            damages.add(new Damage("a link for " + file, file, path -> {
                Path moved = Files.move(path.resolve(file), path.resolveSibling(path.getFileName() + ".target"));
                Files.createSymbolicLink(path.resolve(file), moved);
            }));
            damages.add(new Damage("a directory for " + file, file, path -> {
                Files.delete(path.resolve(file));
                Files.createDirectory(path.resolve(file));
            }));
        }
        damages.add(new Damage("a link to the good file", Damage.RANK_0, path -> {
            Files.delete(path.resolve(Damage.RANK_0));
            Files.createSymbolicLink(path.resolve(Damage.RANK_0), good.resolve(Damage.RANK_0));
        }));
        damages.add(new Damage("a link inside the directory", "tokenizer.json", path -> {
            Files.delete(path.resolve("tokenizer.json"));
            Files.createSymbolicLink(path.resolve("tokenizer.json"), Path.of("config.json"));
            Damage.fit(path, "tokenizer.json");
        }));
        for (String extra : List.of("rank-00002.safetensors", "rank-00000.json", ".hidden", "notes.txt")) {
            damages.add(new Damage("extra " + extra, extra, path -> Files.writeString(path.resolve(extra), "x")));
        }
        damages.add(new Damage("extra directory", "more", path -> Files.createDirectory(path.resolve("more"))));
    }

    private static void addBytes(List<Damage> damages) {
        SplittableRandom random = new SplittableRandom(3);
        for (String file : Damage.EVERY) {
            for (double share : new double[] {0, 0.3, 0.99}) {
                damages.add(new Damage("cut at " + share + " " + file, file, path -> {
                    byte[] bytes = Files.readAllBytes(path.resolve(file));
                    Files.write(path.resolve(file), Arrays.copyOf(bytes, (int) (bytes.length * share)));
                }));
            }
            damages.add(new Damage("longer " + file, file, path -> {
                byte[] bytes = Files.readAllBytes(path.resolve(file));
                Files.write(path.resolve(file), Arrays.copyOf(bytes, bytes.length + 1));
            }));
            for (int i = 0; i < 4; i++) {
                double place = random.nextDouble();
                int bit = random.nextInt(8);
                damages.add(new Damage("bit " + bit + " at " + place + " of " + file, file, path -> {
                    byte[] bytes = Files.readAllBytes(path.resolve(file));
                    bytes[(int) (bytes.length * place)] ^= (byte) (1 << bit);
                    Files.write(path.resolve(file), bytes);
                }));
            }
        }
    }

    private static void addForeign(List<Damage> damages) {
        damages.add(new Damage("ranks swapped", Damage.RANK_0, path -> swap(path)));
        damages.add(new Damage("ranks swapped, manifest fitted", Damage.RANK_0, path -> {
            swap(path);
            Damage.fit(path, Damage.RANK_0);
            Damage.fit(path, Damage.RANK_1);
        }));
        for (String file : List.of(Damage.RANK_0, Damage.RANK_1)) {
            damages.add(new Damage("another step's " + file, file, path -> fromOtherStep(path, file)));
            damages.add(new Damage("another step's " + file + ", manifest fitted", file, path -> {
                fromOtherStep(path, file);
                Damage.fit(path, file);
            }));
        }
        damages.add(new Damage("another step's manifest", Damage.RANK_0, path -> {
            fromOtherStep(path, Damage.MANIFEST);
            fromOtherStep(path, Damage.DIGEST);
        }));
        damages.add(new Damage(
                "another step's manifest alone", Damage.MANIFEST, path -> fromOtherStep(path, Damage.MANIFEST)));
        damages.add(new Damage("a header that is not JSON", Damage.RANK_1, path -> {
            byte[] bytes = Files.readAllBytes(path.resolve(Damage.RANK_1));
            bytes[9] = '!';
            Files.write(path.resolve(Damage.RANK_1), bytes);
            Damage.fit(path, Damage.RANK_1);
        }));
        damages.add(new Damage("moments renamed", Damage.RANK_0, path -> {
            byte[] bytes = Files.readAllBytes(path.resolve(Damage.RANK_0));
            String text = new String(bytes, StandardCharsets.ISO_8859_1);
            Files.write(
                    path.resolve(Damage.RANK_0),
                    text.replaceFirst("\"first/", "\"third/").getBytes(StandardCharsets.ISO_8859_1));
            Damage.fit(path, Damage.RANK_0);
        }));
        damages.add(new Damage("another model's config", Damage.MANIFEST, path -> {
            Files.writeString(
                    path.resolve("config.json"), SmallRun.CONFIG.replace("\"vocab_size\": 4", "\"vocab_size\": 6"));
            Damage.fit(path, "config.json");
        }));
        damages.add(new Damage("a config of no model", "config.json", path -> {
            Files.writeString(path.resolve("config.json"), "{\"model_type\": \"mamba\"}");
            Damage.fit(path, "config.json");
        }));
    }

    private static void swap(Path checkpoint) throws IOException {
        Path aside = checkpoint.resolveSibling(checkpoint.getFileName() + ".aside");
        Files.move(checkpoint.resolve(Damage.RANK_0), aside);
        Files.move(checkpoint.resolve(Damage.RANK_1), checkpoint.resolve(Damage.RANK_0));
        Files.move(aside, checkpoint.resolve(Damage.RANK_1));
    }

    private static void fromOtherStep(Path checkpoint, String file) throws IOException {
        Files.copy(otherStep.resolve(file), checkpoint.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }

    private static Path copy(String name) {
        Path copy = directory.resolve(name).resolve(NAME);
        try (Stream<Path> files = Files.list(good)) {
            Files.createDirectories(copy);
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(file.getFileName()), LinkOption.NOFOLLOW_LINKS);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return copy;
    }
}
