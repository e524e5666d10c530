/** Tests of the edge to native code. Small C libraries stand in for broken and foreign kernel libraries. */
@NullMarked
package io.tsp.ffm;

import org.jspecify.annotations.NullMarked;
