/** The CPU as a device: a stream is a platform thread, a kernel call blocks it. */
@NullMarked
package io.tsp.device.cpu;

import org.jspecify.annotations.NullMarked;
