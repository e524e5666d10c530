/**
 * Which rank holds what: axes and groups of ranks, ranges of tokens, heads and features. Pure arithmetic; first file to
 * read: {@link io.tsp.mesh.Mesh}, then {@link io.tsp.mesh.Zigzag}.
 */
@NullMarked
package io.tsp.mesh;

import org.jspecify.annotations.NullMarked;
