/**
 * What a model is: its configuration, its weights by Hugging Face name, and the mathematics of one block as operations.
 * Depends on tensor, mesh, op and program; first file to read: {@link io.tsp.model.ModelConfig}.
 */
@NullMarked
package io.tsp.model;

import org.jspecify.annotations.NullMarked;
