/**
 * Checkpoints of a training run: what each rank owns in a file of its own, a manifest with a SHA-256 of every file, and
 * a protocol of saving that a kill at any moment cannot leave half done. Depends on tensor, mesh, model and checkpoint;
 * first file to read: {@link io.tsp.checkpoint.sharded.CheckpointStore}.
 */
@NullMarked
package io.tsp.checkpoint.sharded;

import org.jspecify.annotations.NullMarked;
