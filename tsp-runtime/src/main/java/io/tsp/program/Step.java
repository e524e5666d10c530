package io.tsp.program;

import io.tsp.op.Op;

/**
 * One op at its place in a program.
 *
 * @param index place in program order
 * @param label where in the model this is, such as {@code layer 3 mlp shard 2}: what an error or a trace calls it
 */
public record Step(int index, Lane lane, Op op, String label) {
    @Override
    public String toString() {
        return "#" + index + " " + op.name() + " (" + label + ")";
    }
}
