package io.tsp.tensor;

/**
 * A named piece of one rank's memory. Where it lies is decided by the memory plan, after the program is known.
 *
 * @param id index among the slots of its program
 * @param bytes size, at most what the plan reserves
 */
public record Slot(int id, String name, MemoryClass memoryClass, long bytes) {
    @Override
    public String toString() {
        return name;
    }
}
