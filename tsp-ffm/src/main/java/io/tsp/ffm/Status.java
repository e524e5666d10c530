package io.tsp.ffm;

import io.tsp.ffm.generated.kernels.tsp_kernels_h;

/** The outcome of a native call: {@code tsp_status} of {@code native/include/tsp_kernels.h}, in its order. */
public enum Status {
    OK(tsp_kernels_h.TSP_OK()),
    INVALID_ARGUMENT(tsp_kernels_h.TSP_INVALID_ARGUMENT()),
    OUT_OF_MEMORY(tsp_kernels_h.TSP_OUT_OF_MEMORY()),
    UNSUPPORTED(tsp_kernels_h.TSP_UNSUPPORTED()),
    /** An event has not happened yet: the one status besides {@link #OK} that is no failure. */
    NOT_READY(tsp_kernels_h.TSP_NOT_READY()),
    DEVICE_ERROR(tsp_kernels_h.TSP_DEVICE_ERROR()),
    COMM_ERROR(tsp_kernels_h.TSP_COMM_ERROR()),
    TIMEOUT(tsp_kernels_h.TSP_TIMEOUT()),
    ABI_MISMATCH(tsp_kernels_h.TSP_ABI_MISMATCH()),
    INTERNAL(tsp_kernels_h.TSP_INTERNAL());

    private final int code;

    Status(int code) {
        this.code = code;
    }

    public int code() {
        return code;
    }

    /** The status of a code; {@link #INTERNAL} for a code that this build does not know. */
    public static Status of(int code) {
        for (Status status : values()) {
            if (status.code == code) {
                return status;
            }
        }
        return INTERNAL;
    }
}
