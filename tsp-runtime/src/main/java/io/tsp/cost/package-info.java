/**
 * Seconds and bytes of ops on hardware that a profile describes: no device is touched, nothing is measured here.
 * Depends on tensor, mesh and op; first file to read: {@link io.tsp.cost.HardwareProfile}.
 */
@NullMarked
package io.tsp.cost;

import org.jspecify.annotations.NullMarked;
