@NullMarked
package io.tsp.device.gpu;

import org.jspecify.annotations.NullMarked;
