/**
 * How a model becomes each rank's program. What all schemes share is here; each scheme has a package of its own and
 * knows no other. First file to read: {@link io.tsp.scheme.RankBuilder}, then {@code io.tsp.scheme.tsp.TspAttention}.
 */
@NullMarked
package io.tsp.scheme;

import org.jspecify.annotations.NullMarked;
