/** Tests of exchanges between threads of one process. First file: {@link io.tsp.comm.local.LocalRanks}. */
@NullMarked
package io.tsp.comm.local;

import org.jspecify.annotations.NullMarked;
