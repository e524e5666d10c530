package io.tsp.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.model.ModelException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/** {@code model.safetensors.index.json}: which shard holds which tensor. */
final class ShardIndex {
    static final String NAME = "model.safetensors.index.json";
    static final int MAX_BYTES = 64 << 20;
    private static final JsonFactory LIMITS = StrictJson.limits(16, SafetensorsHeader.MAX_NAME_CHARS, 1 << 16);
    private static final String WEIGHT_MAP = "weight_map";

    private final String file;
    private final StrictJson json;

    private ShardIndex(String file, byte[] bytes) {
        this.file = file;
        this.json = new StrictJson(LIMITS, ModelException.Part.FILE, file, bytes, 0);
    }

    /** File name of the shard by tensor name, unmodifiable. The names of shards are plain names. */
    static SequencedMap<String, String> parse(String file, byte[] bytes) {
        return new ShardIndex(file, bytes).parse();
    }

    private SequencedMap<String, String> parse() {
        json.expect(JsonToken.START_OBJECT, () -> "the index's object");
        SequencedMap<String, String> members = new LinkedHashMap<>();
        SequencedMap<String, String> weightMap = new LinkedHashMap<>();
        while (json.next() != JsonToken.END_OBJECT) {
            String member = json.text();
            if (members.put(member, member) != null) {
                throw json.failure(Printable.quote(member) + " comes twice");
            }
            switch (member) {
                case WEIGHT_MAP -> parseWeightMap(weightMap);
                case "metadata" -> parseMetadata();
                default -> json.skipValue();
            }
        }
        json.end(false);
        if (weightMap.isEmpty()) {
            throw FileProblem.at(ModelException.Part.FILE, file, 0, "the index has no entries in " + WEIGHT_MAP);
        }
        return Collections.unmodifiableSequencedMap(weightMap);
    }

    private void parseWeightMap(Map<String, String> weightMap) {
        json.expect(JsonToken.START_OBJECT, () -> "the object of " + WEIGHT_MAP);
        while (json.next() != JsonToken.END_OBJECT) {
            String tensor = json.text();
            if (weightMap.containsKey(tensor)) {
                throw json.failure("tensor " + Printable.quote(tensor) + " comes twice in " + WEIGHT_MAP);
            }
            if (weightMap.size() == SafetensorsHeader.MAX_TENSORS) {
                throw json.failure("more than " + SafetensorsHeader.MAX_TENSORS + " tensors in " + WEIGHT_MAP);
            }
            json.expect(JsonToken.VALUE_STRING, () -> "the file of tensor " + Printable.quote(tensor));
            String shard = json.text();
            if (!ModelFiles.isPlainName(shard) || !shard.endsWith(".safetensors")) {
                throw json.failure("tensor " + Printable.quote(tensor) + " is said to be in " + Printable.quote(shard)
                        + ", which is not the plain name of a .safetensors file in the model directory");
            }
            weightMap.put(tensor, shard);
        }
    }

    /** transformers ignores the total; so do we, but a value that cannot be a size means a damaged file. */
    private void parseMetadata() {
        json.expect(JsonToken.START_OBJECT, () -> "the object of metadata");
        boolean seen = false;
        while (json.next() != JsonToken.END_OBJECT) {
            if (!json.text().equals("total_size")) {
                json.skipValue();
            } else if (seen) {
                throw json.failure("total_size comes twice");
            } else {
                seen = true;
                requireSize(json.next());
            }
        }
    }

    private void requireSize(JsonToken token) {
        if (!token.isNumeric() || json.text().startsWith("-")) {
            throw json.failure("total_size is not a number of bytes");
        }
    }
}
