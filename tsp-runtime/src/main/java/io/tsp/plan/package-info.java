/**
 * Which schemes there are, and which is the best for a model on described hardware. First file to read:
 * {@link io.tsp.plan.Schemes}, then {@link io.tsp.plan.Planner}.
 */
@NullMarked
package io.tsp.plan;

import org.jspecify.annotations.NullMarked;
