/** Forward passes on real tokens: loss, logits, comparison of schemes. First file to read: {@link io.tsp.evaluate.ForwardRunner}. */
@NullMarked
package io.tsp.evaluate;

import org.jspecify.annotations.NullMarked;
