/**
 * The closed vocabulary of programs: what a device computes and what ranks exchange, as records with shapes and dtypes.
 * Depends on tensor and mesh; first file to read: {@link io.tsp.op.Op}.
 */
@NullMarked
package io.tsp.op;

import org.jspecify.annotations.NullMarked;
