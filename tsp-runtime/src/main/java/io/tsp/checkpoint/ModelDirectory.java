package io.tsp.checkpoint;

import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import io.tsp.model.WeightBlock;
import io.tsp.model.WeightShapes;
import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;

/**
 * A model as Hugging Face stores it: {@code config.json} beside {@code model.safetensors}, or beside shards and
 * {@code model.safetensors.index.json}. Opening checks everything but the values: every tensor of the configuration is
 * there with its shape and a dtype of weights, and nothing else is. Any number of threads may read.
 */
public final class ModelDirectory implements WeightSource {
    private final ModelConfig config;
    private final ModelFiles files;
    private final Map<String, Shape> shapes;
    private final Shards shards;
    private final BlockReader blocks = new BlockReader();

    private ModelDirectory(ModelConfig config, ModelFiles files, Shards shards) {
        this.config = config;
        this.files = files;
        this.shapes = WeightShapes.of(config);
        this.shards = shards;
    }

    /**
     * Opens a model.
     *
     * @throws ModelException (CONFIG) if config.json is missing or cannot be used; (FILE) if the weights do not fit
     *     it or are not strictly in their format
     */
    public static ModelDirectory open(Path directory) {
        ModelFiles files = ModelFiles.in(directory);
        ModelConfig config = readConfig(files);
        Shards shards = Shards.open(files);
        try {
            WeightAudit.check(config, files.directory(), shards);
            WeightAudit.checkTied(config, shards);
            return new ModelDirectory(config, files, shards);
        } catch (RuntimeException e) {
            shards.close();
            throw e;
        }
    }

    /** Only the configuration of a model directory. */
    public static ModelConfig readConfig(Path directory) {
        return readConfig(ModelFiles.in(directory));
    }

    public ModelConfig config() {
        return config;
    }

    /** Its files, for what lies beside the weights. */
    public ModelFiles files() {
        return files;
    }

    @Override
    public Shape shape(String name) {
        Shape shape = shapes.get(name);
        if (shape == null) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    files.directory() + " has no tensor named " + Printable.quote(name) + "; it is not part of a "
                            + config.family() + " model");
        }
        return shape;
    }

    @Override
    public void read(
            String name,
            long firstRow,
            long rowCount,
            long firstColumn,
            long columnCount,
            DType dtype,
            ByteBuffer target) {
        Shape shape = shape(name);
        WeightBlock block = new WeightBlock(firstRow, rowCount, firstColumn, columnCount);
        block.requireInside(name, shape);
        Shards.Place place = shards.place(name);
        ByteBuffer out = block.claim(target, dtype);
        blocks.read(place.file(), place.tensor(), shape.rank() == 1 ? 1 : shape.last(), block, dtype, out);
    }

    @Override
    public void close() {
        shards.close();
    }

    /** Only the configuration among the files of a directory. */
    public static ModelConfig readConfig(ModelFiles files) {
        String file = files.shown(ConfigReader.NAME).toString();
        byte[] bytes = files.read(ConfigReader.NAME, ConfigReader.MAX_BYTES, ModelException.Part.CONFIG)
                .orElseThrow(() -> new ModelException(
                        ModelException.Part.CONFIG, "there is no file " + file + "; download it with the model"));
        return ConfigReader.read(file, bytes);
    }
}
