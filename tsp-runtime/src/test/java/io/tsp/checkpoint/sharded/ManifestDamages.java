package io.tsp.checkpoint.sharded;

import java.nio.file.Files;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/** Manifests that are well signed and wrong. */
final class ManifestDamages {
    private ManifestDamages() {}

    /** Adds damages of the manifest whose digest is right. */
    static void addTo(List<Damage> damages) {
        addHead(damages);
        addFiles(damages);
        addSlices(damages);
    }

    private static void addHead(List<Damage> damages) {
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
    }

    private static void addFiles(List<Damage> damages) {
        addEdit(damages, "upper case digest", text -> text.replaceFirst("\"sha256\" : \"[0-9a-f]", "\"sha256\" : \"A"));
        addEdit(damages, "short digest", text -> text.replaceFirst("\"sha256\" : \"[0-9a-f]", "\"sha256\" : \""));
        for (String name : List.of(
                "../good/step-000007/" + Damage.RANK_0, "/etc/passwd", "a\\\\b", "..", ".", "", "a\\u0000b", "C:x")) {
            addEdit(
                    damages,
                    "the name " + name.hashCode(),
                    text -> text.replace("\"" + Damage.RANK_0 + "\"", "\"" + name + "\""));
        }
        addEdit(damages, "itself as a file", text -> text.replace("\"tokenizer.json\"", "\"manifest.json\""));
        addEdit(damages, "a file twice", text -> text.replace("\"tokenizer.json\"", "\"config.json\""));
        addEdit(damages, "rank 9", text -> text.replace(Damage.RANK_1, "rank-00009.safetensors"));
        addEdit(damages, "tokenizer with slices", text -> text.replace(Damage.RANK_1, "weights"));
        damages.add(new Damage(
                "another length",
                Damage.RANK_0,
                path -> Damage.edit(
                        path,
                        text -> text.replaceFirst(
                                "(rank-00000.safetensors\",\\s*\"bytes\" : )[0-9]+", "$19223372036854775807"))));
        damages.add(new Damage(
                "bf16 moments",
                Damage.RANK_0,
                path -> Damage.edit(
                        path, text -> text.replaceFirst("\"moments\" : \"f32\"", "\"moments\" : \"bf16\""))));
        damages.add(new Damage(
                "step that is not the files'",
                Damage.RANK_0,
                path -> Damage.edit(path, text -> text.replaceFirst("\"step\" : 7", "\"step\" : 6"))));
        damages.add(new Damage(
                "Windows line end",
                Damage.DIGEST,
                path -> Files.writeString(
                        path.resolve(Damage.DIGEST),
                        Files.readString(path.resolve(Damage.DIGEST)).replace("\n", "\r\n"))));
        damages.add(new Damage(
                "digest without name",
                Damage.DIGEST,
                path -> Files.writeString(
                        path.resolve(Damage.DIGEST),
                        Files.readString(path.resolve(Damage.DIGEST)).substring(0, 64))));
    }

    private static void addSlices(List<Damage> damages) {
        String rows = "\"rows\" : [ 0, 2 ]";
        addEdit(damages, "a hole", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 1 ]"));
        addEdit(damages, "an overlap", text -> text.replaceFirst(Pattern.quote(rows), "\"rows\" : [ 0, 3 ]"));
        addEdit(
                damages,
                "a hole and an overlap of its size",
                text -> text.replaceFirst("\"rows\" : \\[ 2, 4 \\]", "\"rows\" : [ 0, 2 ]"));
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
                Damage.RANK_0,
                path -> Damage.edit(
                        path,
                        text -> text.replaceFirst(
                                "(?s)(\"weight\" : \"model.embed_tokens.weight\",\\s*)" + Pattern.quote(rows)
                                        + "(.*?)\"rows\" : \\[ 2, 4 \\]",
                                "$1\"rows\" : [ 0, 3 ]$2\"rows\" : [ 3, 4 ]"))));
    }

    /** A change to the manifest with its digest right; the refusal names the manifest. */
    private static void addEdit(List<Damage> damages, String name, UnaryOperator<String> change) {
        damages.add(new Damage("manifest: " + name, Damage.MANIFEST, path -> Damage.edit(path, change)));
    }
}
