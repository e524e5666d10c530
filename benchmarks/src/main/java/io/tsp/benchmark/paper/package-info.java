/** The tables of the TSP paper from our own programs. First file to read: {@link io.tsp.benchmark.paper.PaperTables}. */
@NullMarked
package io.tsp.benchmark.paper;

import org.jspecify.annotations.NullMarked;
