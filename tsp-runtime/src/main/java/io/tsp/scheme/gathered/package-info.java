/** The folded layout with whole weights gathered before they are used: fsdp+sp and ulysses. */
@NullMarked
package io.tsp.scheme.gathered;

import org.jspecify.annotations.NullMarked;
