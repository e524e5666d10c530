package io.tsp.ffm;

import static io.tsp.ffm.generated.cublaslt.cublaslt_h.*;
import static io.tsp.ffm.generated.cublaslt.tsp_cublaslt.*;

import java.lang.foreign.MemorySegment;

/** The functions of one cuBLASLt, and what their {@code cublasStatus_t} means. */
final class CublasLtCalls {
    private static final String LIBRARY = "cuBLASLt";

    private final MemorySegment table;

    /** @param table a {@code tsp_cublaslt} */
    CublasLtCalls(MemorySegment table) {
        this.table = table;
    }

    MemorySegment table() {
        return table;
    }

    /** major * 10000 + minor * 100 + patch. */
    long versionNumber() {
        return cublasLtGetVersion.invoke(cublasLtGetVersion(table));
    }

    String version() {
        long number = versionNumber();
        return number / 10000 + "." + number / 100 % 100 + "." + number % 100;
    }

    void check(int code, String call) {
        if (code == CUBLAS_STATUS_SUCCESS()) {
            return;
        }
        String name = string(cublasLtGetStatusName.invoke(cublasLtGetStatusName(table), code));
        String text = string(cublasLtGetStatusString.invoke(cublasLtGetStatusString(table), code));
        throw code == CUBLAS_STATUS_ALLOC_FAILED()
                ? new GpuOutOfMemoryException(LIBRARY, call, text, name, code)
                : new GpuException(LIBRARY, call, text, name, code);
    }

    private static String string(MemorySegment text) {
        return text.address() == 0 ? "" : text.reinterpret(Long.MAX_VALUE).getString(0);
    }
}
