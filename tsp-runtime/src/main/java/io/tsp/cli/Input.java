package io.tsp.cli;

import io.tsp.data.TokenBatch;
import java.util.function.IntFunction;

/**
 * Tokens in batches of one size.
 *
 * @param name what the user calls them
 * @param batch sequences of a batch
 * @param seq tokens of a sequence
 * @param sequences sequences that hold tokens; the last batch may have more, which are filled up
 * @param steps number of batches
 */
record Input(String name, int batch, int seq, int sequences, int steps, IntFunction<TokenBatch> batches) {
    TokenBatch get(int step) {
        return batches.apply(step);
    }
}
