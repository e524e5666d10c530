/** Tests of ranks and placements, exhaustive over small sizes. */
@NullMarked
package io.tsp.mesh;

import org.jspecify.annotations.NullMarked;
