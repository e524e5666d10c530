package io.tsp.benchmark.paper;

import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;

/** What the rank that receives most receives for one layer of the reference. */
record LayerBytes(Scheme scheme, Received forward, Received backward) {
    /**
     * Counts it in the programs, and compares it with the closed form where there is one.
     *
     * @throws IllegalStateException if they differ
     */
    static LayerBytes of(Scheme scheme, int kvHeads, long seq) {
        LayerBytes first = count(scheme, kvHeads, seq, 0);
        ClosedForm form = new ClosedForm(scheme, kvHeads, seq);
        if (form.holds()) {
            first.require(form);
            return first;
        }
        // Ranks beyond the heads: every other one has no head, and no other difference.
        LayerBytes second = count(scheme, kvHeads, seq, 1);
        return first.step().elements() >= second.step().elements() ? first : second;
    }

    /** Of one rank. */
    static LayerBytes count(Scheme scheme, int kvHeads, long seq, int rank) {
        return new LayerBytes(
                scheme,
                Received.forwardLayer(scheme, kvHeads, 1, seq, rank),
                Received.backwardLayer(scheme, kvHeads, 1, seq, Recompute.SELECTIVE, rank));
    }

    void require(ClosedForm form) {
        require("forward", form.forward(), form.degree() * forward.elements());
        require("backward", form.backward() + form.more(), form.degree() * backward.elements());
    }

    private void require(String pass, long expected, long counted) {
        if (expected != counted) {
            throw new IllegalStateException("scheme " + scheme.name() + " on "
                    + scheme.mesh().worldSize() + " ranks receives " + counted + " elements " + pass
                    + " in a layer, on all ranks, but its closed form says " + expected
                    + "; one of the two is wrong");
        }
    }

    /** Forward and backward. */
    Received step() {
        return forward.plus(backward);
    }

    Received of(Pass pass) {
        return pass == Pass.FORWARD ? forward : step();
    }

    /** What is compared. */
    enum Pass {
        FORWARD("forward"),
        TRAINING("forward and backward");

        private final String text;

        Pass(String text) {
            this.text = text;
        }

        String text() {
            return text;
        }
    }
}
