/** Training: the programs of a step on all ranks, and what the host does around them. First file to read: {@link io.tsp.train.TrainingRunner}. */
@NullMarked
package io.tsp.train;

import org.jspecify.annotations.NullMarked;
