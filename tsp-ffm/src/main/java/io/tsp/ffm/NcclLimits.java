package io.tsp.ffm;

import static io.tsp.ffm.generated.nccl.nccl_h.*;

import io.tsp.ffm.generated.nccl.ncclConfig_v23000;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * How many of a GPU's thread blocks NCCL may use at once; it takes them from kernels that run beside it.
 *
 * @param minCtas 0 for NCCL's choice
 * @param maxCtas 0 for NCCL's choice
 */
public record NcclLimits(int minCtas, int maxCtas) {
    /** NCCL's choice. */
    public static final NcclLimits NONE = new NcclLimits(0, 0);

    public NcclLimits {
        if (minCtas < 0 || maxCtas < 0 || (maxCtas > 0 && minCtas > maxCtas)) {
            throw new IllegalArgumentException(
                    "NCCL's thread blocks need 0 <= least <= most, got " + minCtas + " and " + maxCtas);
        }
    }

    /** A {@code ncclConfig_t} as NCCL_CONFIG_INITIALIZER makes it, non-blocking and with these limits. */
    MemorySegment config(Arena arena) {
        MemorySegment config = ncclConfig_v23000.allocate(arena);
        ncclConfig_v23000.size(config, ncclConfig_v23000.sizeof());
        ncclConfig_v23000.magic(config, NCCL_API_MAGIC());
        ncclConfig_v23000.version(config, NCCL_VERSION_CODE());
        ncclConfig_v23000.blocking(config, 0);
        ncclConfig_v23000.cgaClusterSize(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.minCTAs(config, minCtas == 0 ? NCCL_CONFIG_UNDEF_INT() : minCtas);
        ncclConfig_v23000.maxCTAs(config, maxCtas == 0 ? NCCL_CONFIG_UNDEF_INT() : maxCtas);
        ncclConfig_v23000.netName(config, MemorySegment.NULL);
        ncclConfig_v23000.splitShare(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.trafficClass(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.commName(config, MemorySegment.NULL);
        ncclConfig_v23000.collnetEnable(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.CTAPolicy(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.shrinkShare(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.nvlsCTAs(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.nChannelsPerNetPeer(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.nvlinkCentricSched(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.graphUsageMode(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.numRmaCtx(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.maxP2pPeers(config, NCCL_CONFIG_UNDEF_INT());
        ncclConfig_v23000.graphStreamOrdering(config, NCCL_CONFIG_UNDEF_INT());
        return config;
    }
}
