/** Tensor and sequence parallelism on two axes, and what they become when one degree is 1: single, tp, sp. */
@NullMarked
package io.tsp.scheme.tpsp;

import org.jspecify.annotations.NullMarked;
