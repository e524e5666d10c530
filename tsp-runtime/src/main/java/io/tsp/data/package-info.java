/**
 * Tokens: from text through the model's tokenizer or as bytes, from safetensors files, and cut into batches with
 * targets, positions and document starts. Depends on model and checkpoint; first file to read: {@link
 * io.tsp.data.TokenBatch}.
 */
@NullMarked
package io.tsp.data;

import org.jspecify.annotations.NullMarked;
