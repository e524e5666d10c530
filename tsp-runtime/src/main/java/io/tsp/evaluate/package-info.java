/**
 * Forward passes on real tokens: loss, logits, comparison of schemes. First file to read:
 * {@link io.tsp.evaluate.ForwardRunner}, then {@link io.tsp.evaluate.Comparison}.
 */
@NullMarked
package io.tsp.evaluate;

import org.jspecify.annotations.NullMarked;
