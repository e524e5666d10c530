package io.tsp.ffm;

import static io.tsp.ffm.generated.nccl.nccl_h.*;

/** Element types of collectives. */
public enum NcclType {
    U8(ncclUint8()),
    I32(ncclInt32()),
    I64(ncclInt64()),
    F32(ncclFloat32()),
    F64(ncclFloat64()),
    BF16(ncclBfloat16());

    private final int code;

    NcclType(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
