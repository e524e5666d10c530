package io.tsp.checkpoint.sharded;

import io.tsp.model.Parameter.Block;
import java.util.List;

/**
 * A file of a checkpoint as its manifest lists it.
 *
 * @param name a single path element
 * @param bytes length of the file
 * @param sha256 64 lower-case hexadecimal digits
 * @param slices what a rank's file holds, each as parameter and both moments; empty for other files
 */
public record FileEntry(String name, long bytes, String sha256, List<Block> slices) {
    public FileEntry {
        slices = List.copyOf(slices);
    }
}
