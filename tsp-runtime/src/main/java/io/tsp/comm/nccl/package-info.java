/**
 * Ranks are processes with a GPU each that exchange through NCCL, or RCCL. First file to read: {@link
 * io.tsp.comm.nccl.NcclCommunicator}.
 */
@NullMarked
package io.tsp.comm.nccl;

import org.jspecify.annotations.NullMarked;
