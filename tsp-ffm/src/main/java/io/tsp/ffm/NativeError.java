package io.tsp.ffm;

import io.tsp.ffm.generated.kernels.tsp_error;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The {@code tsp_error} that a caller lends to native functions. One per thread that calls them, used again and again:
 * a function fills it only when it fails.
 */
public final class NativeError {
    private final MemorySegment segment;

    /** Allocates the struct in {@code arena}, whose lifetime it shares. */
    public NativeError(Arena arena) {
        segment = tsp_error.allocate(arena);
        tsp_error.struct_size(segment, Math.toIntExact(tsp_error.sizeof()));
    }

    /** What to pass as {@code tsp_error *}. */
    public MemorySegment segment() {
        return segment;
    }

    /**
     * Returns if {@code code} is {@code TSP_OK}.
     *
     * @throws NativeException for any other code, with the text that {@code function} left here
     */
    public void check(int code, String function) {
        if (code != Status.OK.code()) {
            throw failure(code, function);
        }
    }

    /** The failure that {@code function}, which returns no status, reported here. */
    NativeException failure(String function) {
        int code = tsp_error.status(segment);
        return failure(code == Status.OK.code() ? Status.INTERNAL.code() : code, function);
    }

    private NativeException failure(int code, String function) {
        String text = tsp_error.message(segment).getString(0);
        int vendorCode = tsp_error.vendor_code(segment);
        String vendor = vendorCode == 0 ? "" : " (vendor code " + vendorCode + ")";
        String known = Status.of(code).code() == code ? "" : " (status " + code + ", unknown to this build)";
        return new NativeException(Status.of(code), function, (text.isEmpty() ? "no message" : text) + vendor + known);
    }
}
