package io.tsp.program;

/**
 * Where NaN or an infinity first came up on a rank.
 *
 * @param step place in program order; -1 if the tensor was so before the run
 * @param where step and part of the model, such as {@code #812 gated_mlp (layer 3 mlp)}; {@code before the step} if the
 *     tensor was so before the run
 * @param tensor name of the memory it is in, such as a weight's
 * @param value the first such number in it
 */
public record NonFinite(int rank, int step, String where, String tensor, double value) {
    @Override
    public String toString() {
        return tensor + " on rank " + rank + " has " + value + " " + (step < 0 ? where : "after step " + where);
    }
}
