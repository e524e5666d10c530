/**
 * Programs: built once, verified, planned in memory, scheduled on lanes, executed. Nobody above this package sees a
 * device, a stream or a buffer. First file to read: {@link io.tsp.program.ProgramBuilder}, then
 * {@link io.tsp.program.Executor}.
 */
@NullMarked
package io.tsp.program;

import org.jspecify.annotations.NullMarked;
