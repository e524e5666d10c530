/** NCCL between ranks of one process, on the emulator. */
@NullMarked
package io.tsp.comm.nccl;

import org.jspecify.annotations.NullMarked;
