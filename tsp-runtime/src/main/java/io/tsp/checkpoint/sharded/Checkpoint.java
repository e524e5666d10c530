package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.BlockReader;
import io.tsp.checkpoint.ModelDirectory;
import io.tsp.checkpoint.ModelFiles;
import io.tsp.checkpoint.SafetensorsFile;
import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import io.tsp.model.Parameter.Block;
import io.tsp.model.WeightSource;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A checkpoint that was found whole: every file as its manifest lists it, every element of every weight and both of its
 * moments in exactly one place. Any run may read any rectangle of it, however the ranks that saved had cut the weights.
 * Any number of threads may read.
 */
public final class Checkpoint implements AutoCloseable {
    /** A slice and the file that holds it. */
    record StoredSlice(Block block, SafetensorsFile file) {}

    private final Manifest manifest;
    private final ModelFiles files;
    private final ModelConfig config;
    private final List<SafetensorsFile> open;
    private final Map<String, List<StoredSlice>> slices;
    private final BlockReader blocks = new BlockReader();

    private Checkpoint(
            Manifest manifest,
            ModelFiles files,
            ModelConfig config,
            List<SafetensorsFile> open,
            Map<String, List<StoredSlice>> slices) {
        this.manifest = manifest;
        this.files = files;
        this.config = config;
        this.open = open;
        this.slices = slices;
    }

    /** Whether a directory says that it is a checkpoint. */
    public static boolean isCheckpoint(Path directory) {
        return Files.exists(directory.resolve(Manifest.NAME), LinkOption.NOFOLLOW_LINKS);
    }

    /** Opens a checkpoint and checks all of it, the SHA-256 of every file among it. */
    public static Checkpoint open(Path directory) {
        return open(directory, Verify.DIGESTS);
    }

    /**
     * Opens a checkpoint.
     *
     * @throws ModelException (FILE) naming the file that is missing, damaged, foreign or too many; (CONFIG) if its
     *     config.json cannot be used
     */
    public static Checkpoint open(Path directory, Verify verify) {
        ModelFiles files = ModelFiles.in(directory);
        if (!isCheckpoint(directory)) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    directory + " is not a checkpoint, it has no " + Manifest.NAME + "; name a directory step-N of a"
                            + " run's output");
        }
        CheckpointAudit audit = new CheckpointAudit(files);
        Manifest manifest = audit.manifest();
        audit.requireListed(manifest);
        if (verify == Verify.DIGESTS) {
            audit.requireDigests(manifest);
        }
        ModelConfig config = ModelDirectory.readConfig(files);
        Coverage.problem(config, manifest.files()).ifPresent(problem -> {
            throw audit.damaged(Manifest.NAME, "does not list a whole model: " + problem);
        });
        return open(audit, manifest, files, config);
    }

    private static Checkpoint open(CheckpointAudit audit, Manifest manifest, ModelFiles files, ModelConfig config) {
        List<SafetensorsFile> open = new ArrayList<>();
        Map<String, List<StoredSlice>> slices = new HashMap<>();
        try {
            for (FileEntry entry : manifest.files()) {
                if (entry.slices().isEmpty()) {
                    continue;
                }
                SafetensorsFile file = audit.open(manifest.info(), entry);
                open.add(file);
                for (Block block : entry.slices()) {
                    slices.computeIfAbsent(block.name(), name -> new ArrayList<>())
                            .add(new StoredSlice(block, file));
                }
            }
            return new Checkpoint(manifest, files, config, open, slices);
        } catch (RuntimeException e) {
            open.forEach(SafetensorsFile::close);
            throw e;
        }
    }

    /** What it says of the run that saved it. */
    public CheckpointInfo info() {
        return manifest.info();
    }

    /** The model that was trained. */
    public ModelConfig config() {
        return config;
    }

    /** Its files, for the tokenizer's beside the weights. */
    public ModelFiles files() {
        return files;
    }

    /** Every file but the manifest and its digest, by name. */
    public List<FileEntry> entries() {
        return manifest.files();
    }

    /** The weights, or one of their moments, whole; closing the source does nothing. */
    public WeightSource source(Kind kind) {
        return new SliceSource(kind, files.directory(), config, slices, blocks);
    }

    @Override
    public void close() {
        open.forEach(SafetensorsFile::close);
    }
}
