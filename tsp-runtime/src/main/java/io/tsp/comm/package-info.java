/**
 * Exchanges between ranks. First file to read: {@link io.tsp.comm.Communicator}.
 */
@NullMarked
package io.tsp.comm;

import org.jspecify.annotations.NullMarked;
