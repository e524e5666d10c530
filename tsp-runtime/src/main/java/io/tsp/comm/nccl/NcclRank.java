package io.tsp.comm.nccl;

import io.tsp.ffm.Nccl;
import io.tsp.ffm.NcclLimits;
import java.time.Duration;

/**
 * A rank among all, and how it reaches NCCL.
 *
 * @param chooseDevice makes the rank's GPU the one of the calling thread
 * @param deadline the longest wait for a peer
 */
public record NcclRank(
        int rank,
        int size,
        Nccl nccl,
        NcclLimits limits,
        Runnable chooseDevice,
        Bootstrap bootstrap,
        Duration deadline) {}
