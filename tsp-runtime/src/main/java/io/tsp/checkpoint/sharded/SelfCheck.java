package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.ConfigReader;
import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import java.util.Map;

/** Refuses to save what would be refused when it is needed. */
final class SelfCheck {
    private SelfCheck() {}

    /**
     * Reads the manifest back.
     *
     * @throws IllegalArgumentException if a reader would refuse it
     */
    static void require(Manifest manifest, byte[] json, Map<String, byte[]> files) {
        byte[] config = files.get(ConfigReader.NAME);
        if (config == null) {
            throw new IllegalArgumentException("a checkpoint without " + ConfigReader.NAME);
        }
        try {
            if (json.length > ManifestReader.MAX_BYTES
                    || !ManifestReader.read(Manifest.NAME, json).equals(manifest)) {
                throw new IllegalArgumentException("a manifest that is not read back as it was written");
            }
            ModelConfig model = ConfigReader.read(ConfigReader.NAME, config);
            Coverage.problem(model, manifest.files()).ifPresent(problem -> {
                throw new IllegalArgumentException("the ranks do not own each weight exactly once: " + problem);
            });
        } catch (ModelException e) {
            throw new IllegalArgumentException("a reader would refuse this checkpoint: " + e.getMessage(), e);
        }
    }
}
