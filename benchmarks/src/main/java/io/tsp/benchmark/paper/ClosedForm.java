package io.tsp.benchmark.paper;

import io.tsp.scheme.Scheme;
import io.tsp.scheme.tpsp.TpSpScheme;

/**
 * Elements that a rank receives for a layer, by the closed forms of the literature, times the degree so that all are
 * whole. Letters: D ranks, g query heads for each key/value head, W = (2 + 2 / g + 3 F) h^2 weights of a layer,
 * A = B S h, K = A / g; F = 4.
 *
 * <p>They hold while every rank has a key/value head of its own.
 */
record ClosedForm(Scheme scheme, long kvHeads, long tokens) {
    private static final long H = Reference.MODEL.hidden();

    private long others() {
        return degree() - 1;
    }

    long degree() {
        return scheme.mesh().worldSize();
    }

    boolean holds() {
        return degree() <= kvHeads;
    }

    private long activations() {
        return tokens * H;
    }

    private long keys() {
        return activations() * kvHeads / Reference.MODEL.heads();
    }

    private long weights() {
        long queries = 2 * H * H;
        return queries + queries * kvHeads / Reference.MODEL.heads() + 3 * H * Reference.MODEL.intermediate();
    }

    /** Queries, keys, values and outputs that change from tokens to heads, or back. */
    private long exchanged() {
        return 2 * (activations() + keys());
    }

    /** Forward, times D. */
    long forward() {
        return switch (scheme.name()) {
            case "tsp", "fsdp+sp" -> others() * (weights() + 2 * keys());
            case "ulysses" -> others() * weights() + others() * exchanged() / degree();
            default -> 4 * activations() * (tp() - 1) + 2 * keys() * (sp() - 1);
        };
    }

    /** Backward as the literature has it, times D: of what forward received only weights, keys and values come again. */
    long backward() {
        return switch (scheme.name()) {
            case "tsp", "fsdp+sp" -> others() * (2 * weights() + 4 * keys());
            case "ulysses" -> 2 * others() * weights() + others() * exchanged() / degree();
            default -> 4 * activations() * (tp() - 1) + (4 * keys() + 2 * weights()) * (sp() - 1);
        };
    }

    /**
     * What our programs receive besides that, times D: gradients of the two norms where ranks hold different tokens;
     * under ulysses queries, keys, values and outputs once more, and with regions the inputs of both sub-layers, because
     * they are not kept.
     */
    long more() {
        long norms = 2 * 2 * H;
        return switch (scheme.name()) {
            case "tsp", "fsdp+sp" -> others() * norms;
            case "ulysses" -> others() * norms + others() * exchanged() / degree();
            case "tp+sp-regions" -> (norms + 2 * activations()) * (tp() - 1);
            default -> norms * tp() * (sp() - 1);
        };
    }

    private int tp() {
        return ((TpSpScheme) scheme).tp();
    }

    private int sp() {
        return ((TpSpScheme) scheme).sp();
    }
}
