package io.tsp.checkpoint;

import io.tsp.model.ModelConfig;
import io.tsp.model.WeightShapes;
import io.tsp.tensor.Shape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** A model directory of a few hundred bytes, whose parts a test may spoil before they are written. */
final class SmallModel {
    static final String CONFIG = """
            {"model_type": "llama", "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 4, "hidden_act": "silu",
             "rms_norm_eps": 1e-05, "max_position_embeddings": 64, "rope_theta": 10000.0, "tie_word_embeddings": false}
            """;

    /** What a file says of a tensor. */
    record Entry(String type, List<Long> dims) {
        long bytes() {
            return dims.stream().reduce(1L, (a, b) -> a * b)
                    * StoredType.valueOf(type).bytes();
        }
    }

    String config = CONFIG;
    final Map<String, Entry> tensors = new LinkedHashMap<>();

    SmallModel() {
        ModelConfig parsed = ConfigReader.read("config.json", CONFIG.getBytes(StandardCharsets.UTF_8));
        WeightShapes.of(parsed).forEach((name, shape) -> tensors.put(name, new Entry("F32", dims(shape))));
    }

    SmallModel tied() {
        config = CONFIG.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
        return this;
    }

    /** Writes config.json and model.safetensors. */
    Path write(Path directory) {
        put(directory, "config.json", config);
        RawSafetensors.write(directory.resolve("model.safetensors"), file(List.copyOf(tensors.keySet())));
        return directory;
    }

    /** Writes config.json and two shards, the second with the tensors from the fifth on; the index is the caller's. */
    Path writeShards(Path directory) {
        put(directory, "config.json", config);
        List<String> names = new ArrayList<>(tensors.keySet());
        RawSafetensors.write(directory.resolve("a.safetensors"), file(names.subList(0, 4)));
        RawSafetensors.write(directory.resolve("b.safetensors"), file(names.subList(4, names.size())));
        return directory;
    }

    /** The index that fits {@link #writeShards}. */
    String index() {
        StringJoiner map = new StringJoiner(",", "{\"metadata\":{\"total_size\":2},\"weight_map\":{", "}}");
        int place = 0;
        for (String name : tensors.keySet()) {
            map.add("\"" + name + "\":\"" + (place++ < 4 ? "a" : "b") + ".safetensors\"");
        }
        return map.toString();
    }

    static void put(Path directory, String name, String text) {
        try {
            Files.writeString(directory.resolve(name), text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private byte[] file(List<String> names) {
        StringJoiner header = new StringJoiner(",", "{", "}");
        long offset = 0;
        for (String name : names) {
            Entry entry = tensors.get(name);
            header.add(RawSafetensors.entry(name, entry.type, entry.dims.toString(), offset, offset + entry.bytes()));
            offset += entry.bytes();
        }
        return RawSafetensors.file(header.toString(), (int) offset);
    }

    private static List<Long> dims(Shape shape) {
        return shape.rank() == 1 ? List.of(shape.dim(0)) : List.of(shape.dim(0), shape.dim(1));
    }
}
