/**
 * Tokens: from text through the model's tokenizer or as bytes, from safetensors files, and cut into batches with
 * targets, positions and document starts; for training, text files of any size become a store of tokens once and then
 * sequences in an order that a seed decides. Depends on model and checkpoint; first file to read: {@link
 * io.tsp.data.TokenBatch}, then {@link io.tsp.data.TrainingData}.
 */
@NullMarked
package io.tsp.data;

import org.jspecify.annotations.NullMarked;
