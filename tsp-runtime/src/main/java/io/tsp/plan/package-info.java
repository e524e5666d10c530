/** Which schemes there are. First file to read: {@link io.tsp.plan.Schemes}. */
@NullMarked
package io.tsp.plan;

import org.jspecify.annotations.NullMarked;
