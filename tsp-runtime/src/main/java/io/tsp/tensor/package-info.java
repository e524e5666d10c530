/**
 * What a tensor is: dtype, shape, the slot it lives in. Depends on nothing; first file to read: {@link io.tsp.tensor.Tensor}.
 */
@NullMarked
package io.tsp.tensor;

import org.jspecify.annotations.NullMarked;
