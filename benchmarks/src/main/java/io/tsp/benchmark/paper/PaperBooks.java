package io.tsp.benchmark.paper;

import io.tsp.op.ComputeOp.Attention;
import io.tsp.program.Program;
import io.tsp.program.Step;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;

/**
 * The bookkeeping behind {@link PublishedMemory} on quantities that are counted in our programs, in bytes of the rank that
 * has most.
 *
 * @param parameters weights, gradients and optimizer of the blocks; neither the paper nor this counts embeddings
 * @param inputs of layers, kept for the backward pass
 * @param keysAndValues of all layers as attention reads them, kept
 * @param working what one layer works with
 * @param constant and what else does not depend on length
 */
record PaperBooks(double parameters, double inputs, double keysAndValues, double working, double constant) {
    private static final int LAYERS = Reference.MODEL.layers();

    /**
     * Counts.
     *
     * @param keep whether gathered keys and values are kept, as the published lines say of tp+sp, or gathered again
     */
    static PaperBooks of(Scheme scheme, long seq, boolean keep) {
        double constant = PublishedMemory.CONSTANT_GIB * PublishedMemory.BYTES_PER_GIB;
        double parameters = PublishedMemory.BYTES_PER_PARAMETER * LAYERS * parametersOfLayer(scheme, seq);
        long input = inputOfLayer(scheme, seq);
        if (scheme.name().equals("tsp")) {
            double more = PublishedMemory.TSP_MORE_GIB * PublishedMemory.BYTES_PER_GIB;
            return new PaperBooks(parameters, PublishedMemory.TSP_LOCAL_TENSORS * input, 0, 0, constant + more);
        }
        double hidden = 2.0 * seq * Reference.MODEL.hidden();
        return new PaperBooks(
                parameters,
                PublishedMemory.KEPT_INPUTS * input,
                keep ? PublishedMemory.KEPT_KEYS_AND_VALUES * LAYERS * keysAndValuesOfLayer(scheme, seq) : 0,
                PublishedMemory.WORKING_TENSORS * hidden,
                constant);
    }

    double total() {
        return parameters + inputs + keysAndValues + working + constant;
    }

    /** Weights of a layer that rank 0 holds, in elements: what a third layer adds to two. */
    private static long parametersOfLayer(Scheme scheme, long seq) {
        return (slots(training(scheme, 3, seq), MemoryClass.PARAMETERS)
                        - slots(training(scheme, 2, seq), MemoryClass.PARAMETERS))
                / 2;
    }

    /** Bytes of a layer's input on rank 0. With full recomputation the inputs of both sub-layers are all that is kept. */
    private static long inputOfLayer(Scheme scheme, long seq) {
        return (slots(training(scheme, 3, seq), MemoryClass.SAVED) - slots(training(scheme, 2, seq), MemoryClass.SAVED))
                / 2;
    }

    private static long keysAndValuesOfLayer(Scheme scheme, long seq) {
        return keysAndValues(forward(scheme, 3, seq)) - keysAndValues(forward(scheme, 2, seq));
    }

    private static long slots(Program program, MemoryClass memoryClass) {
        return program.slots().stream()
                .filter(slot -> slot.memoryClass() == memoryClass)
                .mapToLong(Slot::bytes)
                .sum();
    }

    private static long keysAndValues(Program program) {
        long bytes = 0;
        for (Step step : program.steps()) {
            if (step.op() instanceof Attention attention) {
                bytes += attention.k().bytes() + attention.v().bytes();
            }
        }
        return bytes;
    }

    private static Program training(Scheme scheme, int layers, long seq) {
        return scheme.training(
                        Reference.training(Reference.with(layers, Reference.MODEL.kvHeads()), 1, seq, Recompute.FULL),
                        0)
                .model()
                .program();
    }

    private static Program forward(Scheme scheme, int layers, long seq) {
        return scheme.forward(Reference.forward(Reference.with(layers, Reference.MODEL.kvHeads()), 1, seq), 0)
                .program();
    }
}
