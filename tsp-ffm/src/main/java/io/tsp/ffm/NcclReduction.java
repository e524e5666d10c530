package io.tsp.ffm;

import static io.tsp.ffm.generated.nccl.nccl_h.*;

/** How a collective makes one element of those of all ranks. */
public enum NcclReduction {
    SUM(ncclSum()),
    MAX(ncclMax());

    private final int code;

    NcclReduction(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
