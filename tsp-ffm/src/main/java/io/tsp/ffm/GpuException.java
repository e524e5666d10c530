package io.tsp.ffm;

import org.jspecify.annotations.Nullable;

/** A GPU vendor's library refused a call, or work enqueued before it failed: which call, with what code and text. */
public class GpuException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final int code;
    private final String codeName;

    /**
     * @param library such as {@code CUDA}
     * @param call the function and what it was asked for, such as {@code cudaMalloc of 64 bytes on device 0}
     * @param text the vendor's words for the code
     * @param codeName the vendor's name of the code, or null if it has none
     */
    public GpuException(String library, String call, String text, @Nullable String codeName, int code) {
        super(library + ": " + call + " failed: " + text + " ("
                + (codeName == null || codeName.isEmpty() ? "status " : codeName + ", ") + code + ")");
        this.code = code;
        this.codeName = codeName == null ? "" : codeName;
    }

    /** The vendor's number. */
    public int code() {
        return code;
    }

    /** The vendor's name of the code, such as {@code cudaErrorMemoryAllocation}; empty if it has none. */
    public String codeName() {
        return codeName;
    }
}
