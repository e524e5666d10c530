package io.tsp.checkpoint.sharded;

/** How much of a checkpoint is checked when it is opened. */
public enum Verify {
    /** Everything, with the SHA-256 of every file: each byte is read once. */
    DIGESTS,
    /** Everything but the bytes of the files: names, lengths, headers, coverage, and the SHA-256 of the manifest. */
    STRUCTURE
}
