package io.tsp.ffm;

/** The device, or the host for pinned memory, has not the memory that was asked for. */
public final class GpuOutOfMemoryException extends GpuException {
    private static final long serialVersionUID = 1L;

    public GpuOutOfMemoryException(String library, String call, String text, String codeName, int code) {
        super(library, call, text, codeName, code);
    }
}
