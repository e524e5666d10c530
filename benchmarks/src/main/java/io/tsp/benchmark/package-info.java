/**
 * JMH benchmarks. Each checks an answer before it times, and returns its result so that nothing is optimised away. Run
 * them with {@code scripts/bench}; results with their machine and command are kept in {@code benchmarks/results}.
 */
@NullMarked
package io.tsp.benchmark;

import org.jspecify.annotations.NullMarked;
