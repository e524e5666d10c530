package io.tsp.ffm;

import static io.tsp.ffm.generated.nccl.nccl_h.*;
import static io.tsp.ffm.generated.nccl.tsp_nccl.*;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** Turns a {@code ncclResult_t} into an exception with NCCL's words, general and of its last error. */
final class NcclStatus {
    /** NCCL has no function for them. */
    private static final List<String> NAMES = List.of(
            "ncclSuccess",
            "ncclUnhandledCudaError",
            "ncclSystemError",
            "ncclInternalError",
            "ncclInvalidArgument",
            "ncclInvalidUsage",
            "ncclRemoteError",
            "ncclInProgress",
            "ncclTimeout");

    private final MemorySegment nccl;

    /** @param nccl a {@code tsp_nccl} */
    NcclStatus(MemorySegment nccl) {
        this.nccl = nccl;
    }

    void check(int code, String call) {
        check(code, call, 0);
    }

    /** Returns if the call is done or goes on. */
    void check(int code, String call, long communicator) {
        if (code == ncclSuccess() || code == ncclInProgress()) {
            return;
        }
        String last = string(ncclGetLastError.invoke(ncclGetLastError(nccl), MemorySegment.ofAddress(communicator)));
        String text = text(code) + (last.isBlank() ? "" : ": " + last.strip());
        String name = code > 0 && code < NAMES.size() ? NAMES.get(code) : "";
        throw new GpuException("NCCL", call, text, name, code);
    }

    private String text(int code) {
        return string(ncclGetErrorString.invoke(ncclGetErrorString(nccl), code));
    }

    private static String string(MemorySegment text) {
        return text.address() == 0 ? "" : text.reinterpret(Long.MAX_VALUE).getString(0);
    }
}
