package io.tsp.checkpoint;

import io.tsp.checkpoint.SafetensorsWriter.Declaration;
import io.tsp.model.ModelConfig;
import io.tsp.model.WeightShapes;
import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Writes a model as Hugging Face stores it, as transformers loads it: {@code config.json}, and
 * {@code model.safetensors} or shards with their index. The directory appears whole or not at all.
 */
public final class ModelWriter {
    /** Beyond it weights are cut into shards, as transformers does. */
    private static final long SHARD_BYTES = 5_000_000_000L;

    private static final int BUFFER_BYTES = 8 << 20;

    private final Disk disk;
    private final WeightSource weights;
    private final DType dtype;
    private final Map<String, Shape> shapes;
    private final ByteBuffer buffer;

    private ModelWriter(Disk disk, ModelConfig config, WeightSource weights, DType dtype) {
        this.disk = disk;
        this.weights = weights;
        this.dtype = dtype;
        this.shapes = WeightShapes.of(config);
        long widest = shapes.keySet().stream().mapToLong(this::columns).max().orElse(0);
        long bytes = Math.max(BUFFER_BYTES, Math.multiplyExact(widest, dtype.bytes()));
        this.buffer = ByteBuffer.allocateDirect(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Writes a model.
     *
     * @param directory does not exist yet, or is empty
     * @param dtype F32 or BF16
     * @param files what lies beside the weights, by name: tokenizer files; a config.json among them is kept but for the
     *     dtype, otherwise one is made
     * @throws IllegalArgumentException if the directory is not empty, or config.json is of another model
     * @throws StorageException if it cannot be written; nothing is left then
     */
    public static void write(
            Path directory, ModelConfig config, WeightSource weights, DType dtype, Map<String, byte[]> files) {
        write(directory, config, weights, dtype, files, SHARD_BYTES, Disk.SHARED);
    }

    static void write(
            Path directory,
            ModelConfig config,
            WeightSource weights,
            DType dtype,
            Map<String, byte[]> files,
            long shardBytes,
            Disk disk) {
        Map<String, byte[]> beside = new LinkedHashMap<>(files);
        beside.put(ConfigReader.NAME, config(config, dtype, files));
        beside.keySet().forEach(ModelWriter::requireFree);
        Path target = directory.toAbsolutePath().normalize();
        Path temporary = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            requireEmpty(target);
            disk.createDirectory(temporary);
            try {
                new ModelWriter(disk, config, weights, dtype).writeShards(temporary, shardBytes);
                for (Map.Entry<String, byte[]> file : beside.entrySet()) {
                    disk.writeFile(temporary.resolve(file.getKey()), file.getValue());
                }
                disk.forceDirectory(temporary);
                disk.move(temporary, target);
            } catch (IOException | RuntimeException | Error e) {
                disk.discard(temporary, e);
                throw e;
            }
            disk.forceDirectory(target.resolveSibling("."));
        } catch (IOException e) {
            throw new StorageException(
                    target + " cannot be written (" + Disk.reason(e) + "); free space there or choose another place",
                    e);
        }
    }

    private static byte[] config(ModelConfig config, DType dtype, Map<String, byte[]> files) {
        byte[] given = files.get(ConfigReader.NAME);
        if (given == null) {
            return ConfigWriter.write(config, dtype);
        }
        if (!ConfigReader.read(ConfigReader.NAME, given).equals(config)) {
            throw new IllegalArgumentException("the given config.json is not that of the weights");
        }
        return ConfigWriter.withDtype(given, dtype);
    }

    private static void requireFree(String name) {
        if (!ModelFiles.isPlainName(name) || (name.startsWith("model") && name.contains(".safetensors"))) {
            throw new IllegalArgumentException(
                    "a file named " + Printable.quote(name) + " cannot lie beside the weights of a model");
        }
    }

    private static void requireEmpty(Path directory) throws IOException {
        if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
            throw new IllegalArgumentException(directory + " is not a directory; name a new one for the model");
        }
        try (Stream<Path> entries = Files.list(directory)) {
            if (entries.findAny().isPresent()) {
                throw new IllegalArgumentException(directory + " is not empty; name a new directory for the model");
            }
        }
    }

    private void writeShards(Path directory, long shardBytes) throws IOException {
        List<List<String>> shards = shards(shardBytes);
        if (shards.size() == 1) {
            writeShard(directory.resolve(Shards.SINGLE), shards.getFirst());
            return;
        }
        SequencedMap<String, String> places = new LinkedHashMap<>();
        for (int i = 0; i < shards.size(); i++) {
            String file = String.format("model-%05d-of-%05d.safetensors", i + 1, shards.size());
            shards.get(i).forEach(name -> places.put(name, file));
            writeShard(directory.resolve(file), shards.get(i));
        }
        disk.writeFile(directory.resolve(ShardIndex.NAME), index(places));
    }

    /** Weights in their order, in as many files as it takes. */
    private List<List<String>> shards(long shardBytes) {
        List<List<String>> shards = new ArrayList<>();
        long room = 0;
        for (String name : shapes.keySet()) {
            long bytes = bytes(name);
            if (shards.isEmpty() || bytes > room) {
                shards.add(new ArrayList<>());
                room = shardBytes;
            }
            shards.getLast().add(name);
            room -= bytes;
        }
        return shards;
    }

    private byte[] index(SequencedMap<String, String> places) {
        long total = 0;
        for (String name : places.keySet()) {
            total = Math.addExact(total, bytes(name));
        }
        long totalBytes = total;
        return JsonDocument.of(json -> {
            json.writeObjectFieldStart("metadata");
            json.writeNumberField("total_size", totalBytes);
            json.writeEndObject();
            json.writeObjectFieldStart("weight_map");
            for (Map.Entry<String, String> place : places.entrySet()) {
                json.writeStringField(place.getKey(), place.getValue());
            }
            json.writeEndObject();
        });
    }

    private void writeShard(Path file, List<String> names) {
        List<Declaration> declarations = new ArrayList<>();
        StoredType type = dtype == DType.F32 ? StoredType.F32 : StoredType.BF16;
        for (String name : names) {
            Shape shape = shape(name);
            List<Long> dims = shape.rank() == 1 ? List.of(shape.dim(0)) : List.of(shape.dim(0), shape.dim(1));
            declarations.add(new Declaration(name, type, dims));
        }
        // transformers refuses files that do not say what they were written by.
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, Map.of("format", "pt"), declarations, disk, bytes -> {})) {
            names.forEach(name -> writeWeight(writer, name));
            writer.commit();
        }
    }

    private void writeWeight(SafetensorsWriter writer, String name) {
        long rows = shape(name).dim(0);
        long columns = columns(name);
        long rowBytes = Math.multiplyExact(columns, dtype.bytes());
        long rowsAtOnce = buffer.capacity() / rowBytes;
        for (long row = 0; row < rows; row += rowsAtOnce) {
            buffer.clear();
            weights.read(name, row, Math.min(rowsAtOnce, rows - row), 0, columns, dtype, buffer);
            writer.write(name, buffer.flip());
        }
    }

    private long bytes(String name) {
        return Math.multiplyExact(shape(name).count(), dtype.bytes());
    }

    private long columns(String name) {
        Shape shape = shape(name);
        return shape.rank() == 1 ? 1 : shape.last();
    }

    private Shape shape(String name) {
        Shape shape = shapes.get(name);
        if (shape == null) {
            throw new IllegalStateException(name + " came from these shapes");
        }
        return shape;
    }
}
