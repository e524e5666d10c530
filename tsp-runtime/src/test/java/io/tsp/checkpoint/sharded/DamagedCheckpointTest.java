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
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a run could go on from numbers that nobody saved. */
class DamagedCheckpointTest {
    private static final String RANK_0 = "rank-00000.safetensors";
    private static final String RANK_1 = "rank-00001.safetensors";
    private static final String MANIFEST = "manifest.json";
    private static final String DIGEST = "manifest.json.sha256";
    private static final List<String> EVERY =
            List.of(RANK_0, RANK_1, MANIFEST, DIGEST, "config.json", "tokenizer.json");
    private static final String NAME = "step-000007";

    @TempDir
    static Path directory;

    private static Path good;
    private static Path otherStep;

    private interface Spoiling {
        void spoil(Path checkpoint) throws IOException;
    }

    /** A damage and the file that the refusal must name. */
    private record Damage(String name, String file, Spoiling spoiling) {}

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
        edit(signed, text -> text.replace("\"seed\" : \"7\"", "\"seed\" : \"9\""));
        assertEquals("9", SmallRun.requireWhole(signed).state().get("seed"));
    }

    @TestFactory
    Stream<DynamicTest> isRefused() {
        List<Damage> damages = new ArrayList<>();
        addMissing(damages);
        addBytes(damages);
        addForeign(damages);
        addManifests(damages);
        addSlices(damages);
        assertTrue(damages.size() >= 100, () -> damages.size() + " damages");
        return damages.stream().map(damage -> DynamicTest.dynamicTest(damage.name, () -> assertRefused(damage)));
    }

    private static void assertRefused(Damage damage) throws IOException {
        Path checkpoint = copy(damage.name.replaceAll("[^A-Za-z0-9.]+", "-"));
        damage.spoiling.spoil(checkpoint);
        ModelException refusal = assertThrows(
                ModelException.class, () -> Checkpoint.open(checkpoint).close());
        String message = refusal.getMessage();
        assertTrue(
                Pattern.compile(Pattern.quote(checkpoint + "/" + damage.file) + "[^a-z.]|\\b"
                                + Pattern.quote(damage.file) + "[^a-z.]")
                        .matcher(message)
                        .find(),
                message);
        assertTrue(message.chars().noneMatch(Character::isISOControl), message);
        assertTrue(message.length() < 1500, message);
    }

    private static void addMissing(List<Damage> damages) {
        for (String file : EVERY) {
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
        damages.add(new Damage("a link to the good file", RANK_0, path -> {
            Files.delete(path.resolve(RANK_0));
            Files.createSymbolicLink(path.resolve(RANK_0), good.resolve(RANK_0));
        }));
        for (String extra : List.of("rank-00002.safetensors", "rank-00000.json", ".hidden", "notes.txt")) {
            damages.add(new Damage("extra " + extra, extra, path -> Files.writeString(path.resolve(extra), "x")));
        }
        damages.add(new Damage("extra directory", "more", path -> Files.createDirectory(path.resolve("more"))));
    }

    private static void addBytes(List<Damage> damages) {
        SplittableRandom random = new SplittableRandom(3);
        for (String file : EVERY) {
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
        damages.add(new Damage("ranks swapped", RANK_0, path -> swap(path)));
        damages.add(new Damage("ranks swapped, manifest fitted", RANK_0, path -> {
            swap(path);
            fit(path, RANK_0);
            fit(path, RANK_1);
        }));
        for (String file : List.of(RANK_0, RANK_1)) {
            damages.add(new Damage("another step's " + file, file, path -> fromOtherStep(path, file)));
            damages.add(new Damage("another step's " + file + ", manifest fitted", file, path -> {
                fromOtherStep(path, file);
                fit(path, file);
            }));
        }
        damages.add(new Damage("another step's manifest", RANK_0, path -> {
            fromOtherStep(path, MANIFEST);
            fromOtherStep(path, DIGEST);
        }));
        damages.add(new Damage("another step's manifest alone", MANIFEST, path -> fromOtherStep(path, MANIFEST)));
        damages.add(new Damage("a header that is not JSON", RANK_1, path -> {
            byte[] bytes = Files.readAllBytes(path.resolve(RANK_1));
            bytes[9] = '!';
            Files.write(path.resolve(RANK_1), bytes);
            fit(path, RANK_1);
        }));
        damages.add(new Damage("moments renamed", RANK_0, path -> {
            byte[] bytes = Files.readAllBytes(path.resolve(RANK_0));
            String text = new String(bytes, StandardCharsets.ISO_8859_1);
            Files.write(
                    path.resolve(RANK_0),
                    text.replaceFirst("\"first/", "\"third/").getBytes(StandardCharsets.ISO_8859_1));
            fit(path, RANK_0);
        }));
        damages.add(new Damage("another model's config", MANIFEST, path -> {
            Files.writeString(
                    path.resolve("config.json"), SmallRun.CONFIG.replace("\"vocab_size\": 4", "\"vocab_size\": 6"));
            fit(path, "config.json");
        }));
        damages.add(new Damage("a config of no model", "config.json", path -> {
            Files.writeString(path.resolve("config.json"), "{\"model_type\": \"mamba\"}");
            fit(path, "config.json");
        }));
    }

    private static void addManifests(List<Damage> damages) {
        addEdit(damages, "another version", text -> text.replace("\"version\" : 1", "\"version\" : 2"));
        addEdit(damages, "version 0", text -> text.replace("\"version\" : 1", "\"version\" : 0"));
        addEdit(damages, "another format", text -> text.replace("tsp-checkpoint", "dcp"));
        addEdit(damages, "not JSON", text -> text.replaceFirst("\\{", "["));
        addEdit(damages, "empty", text -> "");
        addEdit(damages, "null", text -> "null\n");
        addEdit(damages, "deep", text -> "[".repeat(100_000));
        addEdit(damages, "deep state", text -> text.replace("\"seed\" : \"7\"", "\"a\":" + "{\"a\":".repeat(5000)));
        addEdit(damages, "an unknown member", text -> text.replaceFirst("\\{", "{\"more\": 1,"));
        addEdit(damages, "a member twice", text -> text.replaceFirst("\\{", "{\"step\": 7,"));
        addEdit(damages, "text behind", text -> text + "{}");
        addEdit(damages, "no step", text -> text.replaceFirst("\"step\" : 7,", ""));
        addEdit(damages, "no files", text -> text.replaceFirst("(?s)\"files\".*", "\"files\": []}"));
        addEdit(damages, "huge step", text -> text.replaceFirst("\"step\" : 7", "\"step\" : 9223372036854775807"));
        addEdit(
                damages,
                "step beyond a long",
                text -> text.replaceFirst("\"step\" : 7", "\"step\" : 99999999999999999999"));
        addEdit(damages, "negative step", text -> text.replaceFirst("\"step\" : 7", "\"step\" : -7"));
        addEdit(damages, "no ranks", text -> text.replaceFirst("\"ranks\" : 2", "\"ranks\" : 0"));
        addEdit(damages, "fewer ranks", text -> text.replaceFirst("\"ranks\" : 2", "\"ranks\" : 1"));
        addEdit(damages, "huge ranks", text -> text.replaceFirst("\"ranks\" : 2", "\"ranks\" : 4294967297"));
        addEdit(damages, "another dtype", text -> text.replaceFirst("\"dtype\" : \"bf16\"", "\"dtype\" : \"f16\""));
        addEdit(damages, "state of a number", text -> text.replace("\"seed\" : \"7\"", "\"seed\" : 7"));
        addEdit(
                damages,
                "long string",
                text -> text.replace("\"seed\" : \"7\"", "\"seed\" : \"" + "7".repeat(1 << 20) + "\""));
        addEdit(damages, "upper case digest", text -> text.replaceFirst("\"sha256\" : \"[0-9a-f]", "\"sha256\" : \"A"));
        addEdit(damages, "short digest", text -> text.replaceFirst("\"sha256\" : \"[0-9a-f]", "\"sha256\" : \""));
        for (String name :
                List.of("../good/step-000007/" + RANK_0, "/etc/passwd", "a\\\\b", "..", ".", "", "a\\u0000b", "C:x")) {
            addEdit(
                    damages,
                    "the name " + name.hashCode(),
                    text -> text.replace("\"" + RANK_0 + "\"", "\"" + name + "\""));
        }
        addEdit(damages, "itself as a file", text -> text.replace("\"tokenizer.json\"", "\"manifest.json\""));
        addEdit(damages, "a file twice", text -> text.replace("\"tokenizer.json\"", "\"config.json\""));
        addEdit(damages, "rank 9", text -> text.replace(RANK_1, "rank-00009.safetensors"));
        addEdit(damages, "tokenizer with slices", text -> text.replace(RANK_1, "weights"));
        damages.add(new Damage(
                "another length",
                RANK_0,
                path -> edit(
                        path,
                        text -> text.replaceFirst(
                                "(rank-00000.safetensors\",\\s*\"bytes\" : )[0-9]+", "$19223372036854775807"))));
        damages.add(new Damage(
                "bf16 moments",
                RANK_0,
                path -> edit(path, text -> text.replaceFirst("\"moments\" : \"f32\"", "\"moments\" : \"bf16\""))));
        damages.add(new Damage(
                "step that is not the files'",
                RANK_0,
                path -> edit(path, text -> text.replaceFirst("\"step\" : 7", "\"step\" : 6"))));
        damages.add(new Damage(
                "Windows line end",
                DIGEST,
                path -> Files.writeString(
                        path.resolve(DIGEST),
                        Files.readString(path.resolve(DIGEST)).replace("\n", "\r\n"))));
        damages.add(new Damage(
                "digest without name",
                DIGEST,
                path -> Files.writeString(
                        path.resolve(DIGEST),
                        Files.readString(path.resolve(DIGEST)).substring(0, 64))));
    }

    private static void addSlices(List<Damage> damages) {
        String rows = "\"rows\" : [ 0, 2 ]";
        addEdit(damages, "a hole", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 1 ]"));
        addEdit(damages, "an overlap", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 3 ]"));
        addEdit(damages, "outside", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 5 ]"));
        addEdit(
                damages,
                "far outside",
                text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 9223372036854775807 ]"));
        addEdit(damages, "an empty slice", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 2, 2 ]"));
        addEdit(damages, "a backward slice", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 2, 0 ]"));
        addEdit(damages, "three bounds", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 2, 2 ]"));
        addEdit(damages, "a fraction", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 2.0 ]"));
        addEdit(damages, "an unknown weight", text -> text.replaceFirst("model.norm.weight", "model.norm.bias"));
        addEdit(damages, "a weight for another", text -> text.replaceFirst("up_proj", "gate_proj"));
        damages.add(new Damage(
                "other columns that cover",
                RANK_0,
                path -> edit(
                        path,
                        text -> text.replaceFirst(
                                "(?s)(\"weight\" : \"model.embed_tokens.weight\",\\s*)" + Pattern.quote(rows)
                                        + "(.*?)\"rows\" : \\[ 2, 4 \\]",
                                "$1\"rows\" : [ 0, 3 ]$2\"rows\" : [ 3, 4 ]"))));
    }

    /** A change to the manifest with its digest right; the refusal names the manifest. */
    private static void addEdit(List<Damage> damages, String name, UnaryOperator<String> change) {
        damages.add(new Damage("manifest: " + name, MANIFEST, path -> edit(path, change)));
    }

    private static void edit(Path checkpoint, UnaryOperator<String> change) throws IOException {
        String text = Files.readString(checkpoint.resolve(MANIFEST));
        String changed = change.apply(text);
        assertTrue(!changed.equals(text), "the change did not take");
        Files.writeString(checkpoint.resolve(MANIFEST), changed);
        Files.write(checkpoint.resolve(DIGEST), Manifest.digestFile(Files.readAllBytes(checkpoint.resolve(MANIFEST))));
    }

    /** Makes the manifest say of a file what is so. */
    private static void fit(Path checkpoint, String file) throws IOException {
        byte[] bytes = Files.readAllBytes(checkpoint.resolve(file));
        String entry =
                "(\"name\" : \"" + Pattern.quote(file) + "\",\\s*\"bytes\" : )[0-9]+(,\\s*\"sha256\" : \")[0-9a-f]+";
        edit(
                checkpoint,
                text -> text.replaceFirst(
                                entry,
                                "$1" + bytes.length + "$2" + Digest.of(bytes).hex()) + " ");
    }

    private static void swap(Path checkpoint) throws IOException {
        Path aside = checkpoint.resolveSibling(checkpoint.getFileName() + ".aside");
        Files.move(checkpoint.resolve(RANK_0), aside);
        Files.move(checkpoint.resolve(RANK_1), checkpoint.resolve(RANK_0));
        Files.move(aside, checkpoint.resolve(RANK_1));
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
