/**
 * Processes that a launcher has started find each other. First file to read: {@link io.tsp.launch.Launcher}, then {@link
 * io.tsp.launch.Rendezvous}.
 */
@NullMarked
package io.tsp.launch;

import org.jspecify.annotations.NullMarked;
