/**
 * Tests of programs: what is proven before a run, where memory lies, what waits for what. First file: {@link World}.
 */
@NullMarked
package io.tsp.program;

import org.jspecify.annotations.NullMarked;
