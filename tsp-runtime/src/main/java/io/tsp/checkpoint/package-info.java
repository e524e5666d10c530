/**
 * Weights and configurations on disk: a strict safetensors reader and writer, and Hugging Face model directories. Every
 * file read here is untrusted: nothing is allocated before the bytes for it are known to exist, and every refusal names
 * the file and the byte or field. Depends on tensor and model; first file to read:
 * {@link io.tsp.checkpoint.ModelDirectory}.
 */
@NullMarked
package io.tsp.checkpoint;

import org.jspecify.annotations.NullMarked;
