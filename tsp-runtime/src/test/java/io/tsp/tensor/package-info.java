/** Tests of tensors, shapes and views. */
@NullMarked
package io.tsp.tensor;

import org.jspecify.annotations.NullMarked;
