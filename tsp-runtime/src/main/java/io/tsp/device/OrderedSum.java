package io.tsp.device;

import io.tsp.tensor.DType;

/** The device's sum of several vectors in a fixed order: target = ((s0 + s1) + s2) + ..., fp32, rounded once. */
@FunctionalInterface
public interface OrderedSum {
    /**
     * @param sources addresses, in the order of the sum
     * @param target may be one of the sources
     * @param count elements
     */
    void sum(DType dtype, long[] sources, long target, long count);
}
