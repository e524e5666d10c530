@NullMarked
package io.tsp.benchmark.paper;

import org.jspecify.annotations.NullMarked;
