package io.tsp.checkpoint;

import java.util.List;

/**
 * One tensor of a safetensors file.
 *
 * @param dims as in the file: any rank from 0 (a scalar) up
 * @param begin first byte, counted from the start of the file
 * @param end byte after the last
 * @param declaredAt byte of the file where the header names it, for messages
 */
public record StoredTensor(String name, StoredType type, List<Long> dims, long begin, long end, long declaredAt) {
    /** Bytes of the tensor. */
    public long bytes() {
        return end - begin;
    }
}
