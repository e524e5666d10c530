package io.tsp.model;

import io.tsp.mesh.Range;
import io.tsp.tensor.Tensor;

/**
 * A part of the model's weights that a rank holds.
 *
 * @param tensor where it lives in the rank's program, dense
 * @param source what to fill it with
 */
public record Parameter(Tensor tensor, Source source) {

    /** Blocks of Hugging Face tensors, and the layout they are stored in. */
    public sealed interface Source {}

    /** The block itself, [rows, columns]; of a vector [n], columns is [0, 1). */
    public record Block(String name, Range rows, Range columns) implements Source {}

    /** The block as the transposed right-hand side of a product, in panels. */
    public record Panels(String name, Range rows, Range columns) implements Source {}

    /** Two blocks of equal rows, gate and up features interleaved in panels. */
    public record GateUpPanels(String gate, String up, Range rows, Range columns) implements Source {}
}
