package io.tsp.train;

import io.tsp.checkpoint.sharded.CheckpointInfo;
import io.tsp.model.ModelException;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Where a run of training stands, beside the weights and what the optimizer keeps: nothing else decides how it goes on.
 *
 * @param step steps that are done
 * @param position sequences of the data that are used up
 * @param dataDigest identity of the tokens, see {@link io.tsp.data.TokenStore}
 * @param dataSeed of the order of sequences
 * @param seq tokens of a sequence
 */
public record RunState(long step, long position, String dataDigest, long dataSeed, int seq) {
    private static final String POSITION = "data.position";
    private static final String DIGEST = "data.sha256";
    private static final String SEED = "data.seed";
    private static final String SEQ = "data.seq";

    /**
     * The state that a checkpoint has written down.
     *
     * @param checkpoint as it is named in messages
     * @throws ModelException (FILE) if something is missing or not a number
     */
    public static RunState of(CheckpointInfo info, String checkpoint) {
        try {
            return new RunState(
                    info.step(),
                    Long.parseLong(value(info, POSITION, checkpoint)),
                    value(info, DIGEST, checkpoint),
                    Long.parseLong(value(info, SEED, checkpoint)),
                    Integer.parseInt(value(info, SEQ, checkpoint)));
        } catch (NumberFormatException e) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    checkpoint + " has " + POSITION + ", " + SEED + " or " + SEQ + " that is no number ("
                            + e.getMessage() + "); take another checkpoint",
                    e);
        }
    }

    private static String value(CheckpointInfo info, String key, String checkpoint) {
        String value = info.state().get(key);
        if (value == null) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    checkpoint + " does not say " + key
                            + ", so training cannot be resumed from it; begin anew from its weights with --model "
                            + checkpoint);
        }
        return value;
    }

    /** For {@link CheckpointInfo#state}. */
    SortedMap<String, String> toMap() {
        return new TreeMap<>(Map.of(
                POSITION, Long.toString(position),
                DIGEST, dataDigest,
                SEED, Long.toString(dataSeed),
                SEQ, Integer.toString(seq)));
    }

    RunState after(long sequences) {
        return new RunState(step + 1, position + sequences, dataDigest, dataSeed, seq);
    }
}
