package io.tsp.benchmark.paper;

/** What the tables of {@link CommunicationPage} say, and what they do not. */
final class CommunicationText {
    static final String INTRODUCTION = """
            What one rank receives for one layer, counted op by op from the programs that would run: those of three layers less
            those of two. The command fails unless the count of every rank equals the closed form, element for element.
            Letters: D ranks in a group, g query heads for each key/value head, F = 4, A = B S h, W = (2 + 2 / g + 3 F) h^2,
            f = (D - 1) / D; under `tp+sp:TxS` T ranks share heads and S share tokens.

            | scheme | forward | backward |
            |---|---|---|
            | tp, tp+sp:TxS, sp | 4 A (T - 1) / D + 2 A (S - 1) / (g D) | the same with 4 for 2, and 2 W (S - 1) / D |
            | tp+sp-regions | 4 f A | 4 f A |
            | tsp, fsdp+sp | f (W + 2 A / g) | f (2 W + 4 A / g) |
            | ulysses on gathered weights | f (W + (2 + 2 / g) A / D) | f (2 W + (2 + 2 / g) A / D) |

            "Besides" is what our programs receive and the forms leave out: gradients of the two norms (h each); under
            ulysses queries, keys, values and outputs once more, and with regions the inputs of both sub-layers, since neither
            is kept. Recomputation (none, selective or full) changes none of the counts: checkpoints are sub-layers' inputs,
            and the sum of a sub-layer's outputs is never needed again.

            MB is 10^6 bytes. Parameters and activations are bf16.""";

    static final String LAYER = """
            **Our programs send sums in f32**: partial outputs of tensor parallelism, forward and backward; gradients of
            keys and values; gradients of weights. Whatever is only moved (weights, keys, values, regions' inputs) goes in bf16.
            Megatron and, as far as we can tell, the paper's programs reduce in bf16. So in our programs `tp` moves twice the
            bytes of its form, forward and backward, and `tsp` one and a third times its own over a step. A comparison of the bytes
            that *our* programs move is therefore too kind to tsp; the tables below say which wire they mean, and compare in
            bf16 where they do not.""";

    static final String CROSSOVERS = """
            * **BS > 8h is reproduced**, and what it is: forward, multi-head attention, bf16, against tensor parallelism alone.
            * A step of training needs 24h (98,304 tokens; the two more are the norms' gradients), with gradients of weights
              in f32 32h, and if only `tp` sums in bf16 there is no such length. That our own programs show 8h once more
              is an effect of their f32 sums, not of the scheme.
            * Grouped queries (g = 4) bring 4.1h forward and 6.7h in training.
            * Against regions (Megatron's sequence parallelism) training needs 12h only because our programs gather regions'
              inputs again; by the form it is 24h, as for `tp`.
            * Against TP x SP in one node with g = 1, and against ulysses on gathered weights, **there is no length** from which
              tsp moves less.""";

    static final String LENGTHS = """
            The benefit over `tp` grows with length, from 0.2 at 4K, and ends at 2 forward and 1.33 in training for
            g = 1, at 8 and 5.33 for g = 4: then keys and values are all that counts. TP x SP moves less at every length
            if g = 1; with g = 4 tsp wins from 256K on forward and from 512K on in training, against the best factorisation of 8.
            Ulysses' share falls the whole way.""";

    static final String DEGREES = """
            Bytes of a rank hardly grow with the degree (f goes to 1), and so does the ratio to `tp` not change at all. But the
            rank's share of the work falls with 1/D, so what it receives *for each token it computes* doubles with every
            doubling: nothing but overlap saves a large group. TP x SP and ulysses do get better with the degree. Beyond 32
            ranks there are more ranks than heads: half of the ranks have no head of their own, and the row shows those
            that receive more.""";

    private CommunicationText() {}
}
