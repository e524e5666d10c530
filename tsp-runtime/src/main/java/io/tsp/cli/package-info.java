/**
 * The command line and composition root: alone names implementations, prints, exits. First file to read:
 * {@link io.tsp.cli.Main}, then {@link io.tsp.cli.CompareCommand}.
 */
@NullMarked
package io.tsp.cli;

import org.jspecify.annotations.NullMarked;
