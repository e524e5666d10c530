@NullMarked
package io.tsp.evaluate;

import org.jspecify.annotations.NullMarked;
