package io.tsp.benchmark.paper;

import io.tsp.benchmark.paper.LayerBytes.Pass;
import io.tsp.benchmark.paper.Received.Wire;
import io.tsp.scheme.Scheme;
import java.util.OptionalDouble;

/**
 * From how many tokens on a scheme receives fewer bytes for a layer than another. Bytes grow by the same amount for each
 * token, which is checked, so two lengths say it all.
 *
 * @param scheme what shall be better
 * @param wire what travels in f32 there
 * @param other what it is compared with
 * @param otherWire what travels in f32 there
 */
record Crossover(Scheme scheme, Wire wire, Scheme other, Wire otherWire, int kvHeads, Pass pass) {
    private static final long SHORT = 4096;

    /** Tokens of the group's sequences together; empty if there is no such number. */
    OptionalDouble tokens() {
        double atShort = difference(SHORT);
        double perToken = (difference(2 * SHORT) - atShort) / SHORT;
        double atNone = atShort - perToken * SHORT;
        double far = difference(32 * SHORT);
        if (Math.abs(atNone + perToken * 32 * SHORT - far) > 1) {
            throw new IllegalStateException(this + ": bytes do not grow evenly with tokens");
        }
        return perToken < 0 ? OptionalDouble.of(Math.max(0, -atNone / perToken)) : OptionalDouble.empty();
    }

    /** Positive while the scheme receives more. */
    private double difference(long seq) {
        return (double) LayerBytes.of(scheme, kvHeads, seq).of(pass).bytes(wire)
                - LayerBytes.of(other, kvHeads, seq).of(pass).bytes(otherWire);
    }
}
