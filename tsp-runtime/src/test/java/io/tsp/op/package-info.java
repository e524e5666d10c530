/** Tests of the vocabulary of programs. */
@NullMarked
package io.tsp.op;

import org.jspecify.annotations.NullMarked;
