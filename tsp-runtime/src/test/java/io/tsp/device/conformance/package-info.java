/**
 * The one suite that judges the kernels of every device: each op against plain float64 code that looks like its formula,
 * on awkward sizes, strides and values. First file to read: {@link io.tsp.device.conformance.KernelConformance}, then
 * {@link io.tsp.device.conformance.Trial}, then the reference of an op.
 */
@NullMarked
package io.tsp.device.conformance;

import org.jspecify.annotations.NullMarked;
