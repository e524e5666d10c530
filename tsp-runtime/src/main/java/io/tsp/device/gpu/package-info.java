/** Ranks on GPUs, for any vendor that has a {@code GpuRuntime}. First file to read: {@link io.tsp.device.gpu.GpuDevice}. */
@NullMarked
package io.tsp.device.gpu;

import org.jspecify.annotations.NullMarked;
