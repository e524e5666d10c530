package io.tsp.cost;

/**
 * What an op costs on one device.
 *
 * @param flops multiplications and additions of matrix products and attention; others count as none
 * @param bytes read and written, each operand once
 */
public record Cost(double flops, double bytes, double seconds) {}
