package io.tsp.evaluate;

import java.util.List;

/**
 * Memory that ranks may take, and which of them share it.
 *
 * @param hostBytes of this machine: all that ranks on the CPU have; beside GPUs, for what the host keeps
 * @param gpuBytes of each GPU, which rank r shares with all ranks that have the same remainder by their number; empty if
 *     ranks are on the CPU
 */
public record AvailableMemory(long hostBytes, List<Long> gpuBytes) {
    public AvailableMemory {
        gpuBytes = List.copyOf(gpuBytes);
    }

    /** For ranks on the CPU. */
    public static AvailableMemory ofHost(long bytes) {
        return new AvailableMemory(bytes, List.of());
    }

    /** Those of some ranks that are on a GPU. */
    List<Integer> on(int gpu, List<Integer> ranks) {
        return ranks.stream().filter(rank -> rank % gpuBytes.size() == gpu).toList();
    }

    /** The host's first, then that of each GPU. */
    long bytes(int place) {
        return place == 0 ? hostBytes : gpuBytes.get(place - 1);
    }

    /** What a message calls a place. */
    static String name(int place) {
        return place == 0 ? "here" : "on GPU " + (place - 1);
    }
}
