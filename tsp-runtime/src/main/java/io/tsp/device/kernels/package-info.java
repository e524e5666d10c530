/** Turns compute ops into calls of the kernel table, for all targets. First file to read: {@link io.tsp.device.kernels.KernelLibrary}. */
@NullMarked
package io.tsp.device.kernels;

import org.jspecify.annotations.NullMarked;
