@NullMarked
package io.tsp.cost;

import org.jspecify.annotations.NullMarked;
