package io.tsp.infer;

import io.tsp.data.TokenBatch;
import io.tsp.evaluate.ForwardRunner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Continues a text with the most probable token each time. Every token costs a whole forward pass over [1, seq]: made for
 * a short look at a model in training, which keeps no keys and values.
 */
public final class GreedyDecoder {
    private final ForwardRunner runner;
    private final int seq;
    private final ByteBuffer row;

    /**
     * A decoder over a loaded model.
     *
     * @param runner loaded for one sequence of seq tokens, with logits, rank 0 in this process
     * @param seq tokens of prompt and continuation together
     */
    public GreedyDecoder(ForwardRunner runner, int seq, int vocabulary) {
        if (!runner.hasLogits()) {
            throw new IllegalArgumentException("greedy decoding reads logits, which are not in this process");
        }
        this.runner = runner;
        this.seq = seq;
        row = ByteBuffer.allocate(Math.multiplyExact(vocabulary, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * The tokens that follow a prompt.
     *
     * @param prompt at least one token id
     * @param count how many to add; fewer come if seq ends before
     */
    public int[] decode(int[] prompt, int count) {
        int end = Math.min(seq, prompt.length + count);
        int[] ids = Arrays.copyOf(prompt, seq);
        for (int i = prompt.length; i < end; i++) {
            // Later tokens cannot be seen from here, so what fills up the sequence does not matter.
            runner.run(TokenBatch.of(1, seq, ids.clone()));
            runner.readLogits(0, i - 1L, row);
            ids[i] = largest();
        }
        return Arrays.copyOfRange(ids, prompt.length, end);
    }

    /** The first of the largest. */
    private int largest() {
        int best = 0;
        for (int id = 1; id < row.capacity() / Float.BYTES; id++) {
            if (row.getFloat(id * Float.BYTES) > row.getFloat(best * Float.BYTES)) {
                best = id;
            }
        }
        return best;
    }
}
