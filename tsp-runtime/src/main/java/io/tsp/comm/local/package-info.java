/** Ranks are threads of this process: an exchange is a meeting at which each rank copies what it needs from its peers. */
@NullMarked
package io.tsp.comm.local;

import org.jspecify.annotations.NullMarked;
