/**
 * Text from a model. Depends on evaluate; first file to read: {@link io.tsp.infer.GreedyDecoder}.
 */
@NullMarked
package io.tsp.infer;

import org.jspecify.annotations.NullMarked;
