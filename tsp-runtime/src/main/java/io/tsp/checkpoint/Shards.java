package io.tsp.checkpoint;

import io.tsp.model.ModelException;
import io.tsp.model.WeightNames;
import io.tsp.model.WeightShapes;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/** The open weight files of a model directory and where each tensor is in them. */
final class Shards implements AutoCloseable {
    static final String SINGLE = "model.safetensors";

    /** A tensor and its file. */
    record Place(SafetensorsFile file, StoredTensor tensor) {}

    private final List<SafetensorsFile> files = new ArrayList<>();
    private final SequencedMap<String, Place> places = new LinkedHashMap<>();

    private Shards() {}

    /** Opens {@code model.safetensors}, which wins as in transformers, or the shards that the index names. */
    static Shards open(ModelFiles directory) {
        Shards shards = new Shards();
        try {
            if (directory.find(SINGLE).isPresent()) {
                shards.add(directory, SINGLE);
            } else {
                shards.addIndexed(directory);
            }
            return shards;
        } catch (RuntimeException e) {
            shards.close();
            throw e;
        }
    }

    /** Tensors by name, in the order of their bytes. */
    SequencedMap<String, Place> places() {
        return Collections.unmodifiableSequencedMap(places);
    }

    /** Where a tensor of the model is; a tied pair may be stored under either name. */
    Place place(String name) {
        Place place = places.get(name);
        if (place == null && name.equals(WeightNames.EMBEDDING)) {
            place = places.get(WeightShapes.OUTPUT_PROJECTION);
        }
        if (place == null) {
            throw new IllegalStateException("tensor " + name + " was not missing when the model was opened");
        }
        return place;
    }

    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
    }

    private void addIndexed(ModelFiles directory) {
        String index = directory.shown(ShardIndex.NAME).toString();
        byte[] bytes = directory
                .read(ShardIndex.NAME, ShardIndex.MAX_BYTES, ModelException.Part.FILE)
                .orElseThrow(() -> new ModelException(
                        ModelException.Part.FILE,
                        directory.directory() + " has neither " + SINGLE + " nor " + ShardIndex.NAME
                                + "; download the weights in safetensors format"));
        SequencedMap<String, String> shardOf = ShardIndex.parse(index, bytes);
        for (String shard : shardOf.values().stream().distinct().toList()) {
            if (directory.find(shard).isEmpty()) {
                throw new ModelException(
                        ModelException.Part.FILE,
                        "there is no file " + directory.shown(shard) + ", which " + index + " names; download it");
            }
            add(directory, shard);
        }
        requireListed(directory, index, shardOf);
    }

    private void add(ModelFiles directory, String name) {
        Path path = directory.find(name).orElseThrow();
        SafetensorsFile file = SafetensorsFile.open(path, directory.shown(name).toString());
        files.add(file);
        for (StoredTensor tensor : file.tensors().values()) {
            Place former = places.putIfAbsent(tensor.name(), new Place(file, tensor));
            if (former != null) {
                throw FileProblem.at(
                        ModelException.Part.FILE,
                        file.name(),
                        tensor.declaredAt(),
                        "tensor " + Printable.quote(tensor.name()) + " is also in "
                                + former.file().name());
            }
        }
    }

    /** Index and shards must tell the same story: what is listed is there, and what is there is listed. */
    private void requireListed(ModelFiles directory, String index, Map<String, String> shardOf) {
        for (Map.Entry<String, String> entry : shardOf.entrySet()) {
            Place place = places.get(entry.getKey());
            String shard = directory.shown(entry.getValue()).toString();
            if (place == null || !place.file().name().equals(shard)) {
                throw new ModelException(
                        ModelException.Part.FILE,
                        index + ": tensor " + Printable.quote(entry.getKey()) + " is not in " + shard
                                + (place == null
                                        ? ""
                                        : " but in " + place.file().name())
                                + "; index and shards are of different models, download them together");
            }
        }
        for (Place place : places.values()) {
            if (!shardOf.containsKey(place.tensor().name())) {
                throw FileProblem.at(
                        ModelException.Part.FILE,
                        place.file().name(),
                        place.tensor().declaredAt(),
                        "tensor " + Printable.quote(place.tensor().name()) + " is not in " + index);
            }
        }
    }
}
