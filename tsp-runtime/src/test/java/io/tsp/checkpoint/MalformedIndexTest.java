package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A failure means that a hostile index reads files outside the model, or that index and shards may contradict each
 * other.
 */
class MalformedIndexTest {
    private static final String NAME = ShardIndex.NAME;
    private static final String GOOD = new SmallModel().index();
    private static final String FIRST = "\"model.embed_tokens.weight\":\"a.safetensors\"";

    @TempDir
    Path directory;

    record Case(String name, String index, String saying) {
        @Override
        public String toString() {
            return name;
        }
    }

    @ParameterizedTest
    @MethodSource({"syntax", "fileNames", "values"})
    void isRefusedWithFileAndByte(Case malformed) {
        ModelException refusal = refusal(malformed);
        String message = refusal.getMessage();
        assertTrue(message.startsWith(directory.resolve(NAME) + ", byte "), message);
        assertTrue(message.contains(malformed.saying), message);
    }

    @ParameterizedTest
    @MethodSource("contradictions")
    void isRefusedWithTensorAndFile(Case malformed) {
        String message = refusal(malformed).getMessage();
        assertTrue(message.contains(malformed.saying), message);
        assertTrue(message.contains(directory.toString()), message);
    }

    @Test
    void theRightIndexIsRead() {
        SmallModel.put(new SmallModel().writeShards(directory), NAME, GOOD);
        try (ModelDirectory model = ModelDirectory.open(directory)) {
            assertEquals(4, model.shape("lm_head.weight").dim(0));
        }
    }

    @Test
    void theTotalSizeIsOnlyAHint() {
        for (String total : List.of("0", "999999999999999999", "1.5e9")) {
            SmallModel.put(
                    new SmallModel().writeShards(directory),
                    NAME,
                    GOOD.replace("\"total_size\":2", "\"total_size\":" + total));
            ModelDirectory.open(directory).close();
        }
    }

    @Test
    void shardsThatAreNoRegularFilesAreRefused() throws Exception {
        SmallModel.put(new SmallModel().writeShards(directory), NAME, GOOD);
        Files.delete(directory.resolve("b.safetensors"));
        Files.createDirectory(directory.resolve("b.safetensors"));
        String message = assertThrows(ModelException.class, () -> ModelDirectory.open(directory))
                .getMessage();
        assertTrue(message.contains("b.safetensors is not a regular file"), message);
    }

    private ModelException refusal(Case malformed) {
        SmallModel.put(new SmallModel().writeShards(directory), NAME, malformed.index);
        ModelException refusal = Refusal.of(() -> ModelDirectory.open(directory));
        assertEquals(ModelException.Part.FILE, refusal.part());
        return refusal;
    }

    static Stream<Case> syntax() {
        return Stream.of(
                new Case("empty", "", "ends early"),
                new Case("blank", "  \n", "ends early"),
                new Case("a list", "[]", "the index's object"),
                new Case("null", "null", "the index's object"),
                new Case("a number", "1", "the index's object"),
                new Case("a string", "\"x\"", "the index's object"),
                new Case("not JSON", "weight_map: x", "JSON"),
                new Case("unclosed", "{\"weight_map\":{" + FIRST, "JSON"),
                new Case("text behind", GOOD + "x", "white space"),
                new Case("a second document", GOOD + GOOD, "white space"),
                new Case("a byte order mark", "\ufeff" + GOOD, "byte order mark"),
                new Case("a NUL behind", GOOD + "\0", "control character"),
                new Case("a comment", "/**/" + GOOD, "JSON"),
                new Case("nesting of 100,000", "{\"x\":" + "[".repeat(100_000), "JSON"),
                new Case("an unclosed value to skip", "{\"x\":[1,2", "JSON"),
                new Case("a member of 1 MB", "{\"" + "x".repeat(1 << 20) + "\":1}", "JSON"),
                new Case("no weight_map", "{\"metadata\":{}}", "no entries in weight_map"),
                new Case("empty weight_map", "{\"weight_map\":{}}", "no entries in weight_map"),
                new Case("weight_map that is a list", "{\"weight_map\":[]}", "object of weight_map"),
                new Case("weight_map that is null", "{\"weight_map\":null}", "object of weight_map"),
                new Case("weight_map twice", "{\"weight_map\":{" + FIRST + "},\"weight_map\":{}}", "comes twice"),
                new Case("weight_map twice, escaped", "{\"weight_map\":{},\"weight\\u005fmap\":{}}", "comes twice"),
                new Case("an unknown member twice", "{\"x\":1,\"x\":2}", "comes twice"),
                new Case("a tensor twice", "{\"weight_map\":{" + FIRST + "," + FIRST + "}}", "comes twice"),
                new Case("metadata twice", "{\"metadata\":{},\"metadata\":{}}", "comes twice"),
                new Case("metadata that is a list", "{\"metadata\":[]}", "object of metadata"),
                new Case("a million entries", entries(1_000_000), "more than 200000"));
    }

    static Stream<Case> fileNames() {
        List<Case> cases = new ArrayList<>();
        for (String name : List.of(
                "",
                ".",
                "..",
                "/etc/passwd",
                "/a.safetensors",
                "../a.safetensors",
                "../../blobs/x.safetensors",
                "sub/a.safetensors",
                "./a.safetensors",
                "a.safetensors/",
                "a.safetensors/..",
                "..\\\\a.safetensors",
                "C:a.safetensors",
                "file:a.safetensors",
                "file:///etc/passwd",
                "http://example.com/a.safetensors",
                "a.safetensors\\u0000",
                "\\u0000a.safetensors",
                "a\\n.safetensors",
                "\\u001b[2J.safetensors",
                "a.bin",
                "pytorch_model.bin",
                "a.safetensors.index.json",
                "a.SAFETENSORS",
                "a.safetensors ",
                "config.json",
                "~/a.safetensors\\u0085",
                "\\ud800.safetensors",
                "x".repeat(255) + ".safetensors")) {
            cases.add(new Case("file '" + name + "'", GOOD.replace(FIRST, FIRST.replace("a.safetensors", name)), ""));
        }
        return cases.stream();
    }

    static Stream<Case> values() {
        List<Case> cases = new ArrayList<>();
        for (String value : List.of("1", "null", "true", "[\"a.safetensors\"]", "{}", "1.5")) {
            String index = GOOD.replace(FIRST, FIRST.replace("\"a.safetensors\"", value));
            cases.add(new Case("file " + value, index, "the file of tensor"));
        }
        for (String value : List.of("-1", "-0", "\"12\"", "null", "true", "[]", "{}", "-1e9")) {
            String index = GOOD.replace("\"total_size\":2", "\"total_size\":" + value);
            cases.add(new Case("total_size " + value, index, "total_size"));
        }
        String twice = GOOD.replace("\"total_size\":2", "\"total_size\":2,\"total_size\":2");
        cases.add(new Case("total_size twice", twice, "comes twice"));
        return cases.stream();
    }

    static Stream<Case> contradictions() {
        String last = "\"lm_head.weight\":\"b.safetensors\"";
        return Stream.of(
                new Case("a shard that is not there", GOOD.replace("a.safetensors", "c.safetensors"), "c.safetensors"),
                new Case("a tensor in the other shard", GOOD.replace(last, last.replace("b.", "a.")), "lm_head.weight"),
                new Case("a tensor that is nowhere", GOOD.replace(last, last + ",\"x\":\"b.safetensors\""), "\"x\""),
                new Case("a tensor that is not listed", GOOD.replace("," + last, ""), "\"lm_head.weight\" is not in"),
                new Case("a shard that is not listed", "{\"weight_map\":{" + FIRST + "}}", "is not in"),
                new Case("a shard that is no safetensors file", GOOD.replace("a.safetensors", "d.safetensors"), "d."));
    }

    @Test
    void oneTensorInTwoShardsIsRefused() throws Exception {
        SmallModel.put(new SmallModel().writeShards(directory), NAME, GOOD);
        Files.copy(directory.resolve("a.safetensors"), directory.resolve("c.safetensors"));
        SmallModel.put(directory, NAME, GOOD.replace(FIRST, FIRST.replace("a.", "c.")));
        String message = assertThrows(ModelException.class, () -> ModelDirectory.open(directory))
                .getMessage();
        assertTrue(message.contains("is also in") && message.contains(", byte "), message);
    }

    @Test
    void anIndexOfTooManyBytesIsNotLoaded() throws Exception {
        new SmallModel().writeShards(directory);
        try (var file = new RandomAccessFile(directory.resolve(NAME).toFile(), "rw")) {
            file.setLength(ShardIndex.MAX_BYTES + 1L);
        }
        String message = assertThrows(ModelException.class, () -> ModelDirectory.open(directory))
                .getMessage();
        assertTrue(message.contains("longer than"), message);
    }

    @Test
    void atLeastSeventyCases() {
        long count = Stream.of(syntax(), fileNames(), values(), contradictions())
                .mapToLong(Stream::count)
                .sum();
        assertTrue(count >= 70, "only " + count);
        assertTrue(GOOD.getBytes(StandardCharsets.UTF_8).length > 100);
    }

    private static String entries(int count) {
        StringBuilder index = new StringBuilder("{\"weight_map\":{");
        for (int i = 0; i < count; i++) {
            index.append(i == 0 ? "\"" : ",\"").append(i).append("\":\"a.safetensors\"");
        }
        return index.append("}}").toString();
    }
}
