/** Ranks are processes on CPUs that exchange messages through MPI. First file to read: {@link io.tsp.comm.mpi.MpiCommunicator}. */
@NullMarked
package io.tsp.comm.mpi;

import org.jspecify.annotations.NullMarked;
