package io.tsp.ffm;

/**
 * What a GPU is.
 *
 * @param name the vendor's, such as {@code NVIDIA H100 80GB HBM3}
 * @param computeMajor with {@code computeMinor}, NVIDIA's compute capability, such as 9.0
 * @param memoryBytes all of its memory, also what is in use
 * @param copyEngines engines that can copy beside kernels
 * @param pciBusId domain:bus:device.function, such as {@code 0000:3b:00.0}
 * @param uuid 32 hexadecimal digits, the same in every process of a machine whatever devices it sees
 */
public record GpuProperties(
        String name,
        int computeMajor,
        int computeMinor,
        int multiprocessors,
        long memoryBytes,
        int copyEngines,
        String pciBusId,
        String uuid) {}
