/** Folded tensor and sequence parallelism: every rank holds 1/D of the weights and 1/D of the tokens (arXiv 2604.26294). */
@NullMarked
package io.tsp.scheme.tsp;

import org.jspecify.annotations.NullMarked;
