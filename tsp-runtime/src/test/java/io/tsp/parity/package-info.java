/**
 * Whole forward passes against what transformers computed: fixtures of {@code scripts/fixtures}, every scheme. First file
 * to read: {@link io.tsp.parity.ParityTest}, then {@link io.tsp.parity.Forward}.
 */
@NullMarked
package io.tsp.parity;

import org.jspecify.annotations.NullMarked;
