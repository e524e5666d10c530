package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/** A way to spoil a checkpoint, and the file that its refusal must name. */
record Damage(String name, String file, Spoiling spoiling) {
    static final String RANK_0 = "rank-00000.safetensors";
    static final String RANK_1 = "rank-00001.safetensors";
    static final String MANIFEST = "manifest.json";
    static final String DIGEST = "manifest.json.sha256";
    static final List<String> EVERY = List.of(RANK_0, RANK_1, MANIFEST, DIGEST, "config.json", "tokenizer.json");

    interface Spoiling {
        void spoil(Path checkpoint) throws IOException;
    }

    /** Changes the manifest and makes its digest fit. */
    static void edit(Path checkpoint, UnaryOperator<String> change) throws IOException {
        String text = Files.readString(checkpoint.resolve(MANIFEST));
        String changed = change.apply(text);
        assertNotEquals(text, changed);
        Files.writeString(checkpoint.resolve(MANIFEST), changed);
        Files.write(checkpoint.resolve(DIGEST), Manifest.digestFile(Files.readAllBytes(checkpoint.resolve(MANIFEST))));
    }

    /** Makes the manifest say of a file what is so. */
    static void fit(Path checkpoint, String file) throws IOException {
        byte[] bytes = Files.readAllBytes(checkpoint.resolve(file));
        String entry =
                "(\"name\" : \"" + Pattern.quote(file) + "\",\\s*\"bytes\" : )[0-9]+(,\\s*\"sha256\" : \")[0-9a-f]+";
        edit(
                checkpoint,
                text -> text.replaceFirst(
                                entry,
                                "$1" + bytes.length + "$2" + Digest.of(bytes).hex()) + " ");
    }
}
