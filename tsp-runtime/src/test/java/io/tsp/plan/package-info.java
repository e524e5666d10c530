@NullMarked
package io.tsp.plan;

import org.jspecify.annotations.NullMarked;
