/**
 * What a program runs on: memory, streams, events, kernels. First file to read: {@link io.tsp.device.Device}.
 */
@NullMarked
package io.tsp.device;

import org.jspecify.annotations.NullMarked;
