package io.tsp.checkpoint.sharded;

import io.tsp.tensor.DType;
import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a checkpoint says of the run that saved it.
 *
 * @param step optimizer steps done
 * @param scheme the parallelism of that run; any other may read the checkpoint
 * @param ranks how many ranks saved
 * @param dtype F32 or BF16: what that run computed in (parameters are stored as f32 in either case)
 * @param moments F32 or BF16: what both moments are stored in
 * @param state what else a run needs to go on where it was: place in the data, seed, learning rate, ...
 */
public record CheckpointInfo(
        long step, String scheme, int ranks, DType dtype, DType moments, SortedMap<String, String> state) {
    static final int MAX_RANKS = 100_000;

    public CheckpointInfo {
        if (step < 0 || step > StepNames.MAX_STEP || ranks < 1 || ranks > MAX_RANKS) {
            throw new IllegalArgumentException("a checkpoint of step " + step + " by " + ranks + " ranks");
        }
        requireFloat(dtype);
        requireFloat(moments);
        state = Collections.unmodifiableSortedMap(new TreeMap<>(state));
    }

    /** The same from a map in any order. */
    public static CheckpointInfo of(
            long step, String scheme, int ranks, DType dtype, DType moments, Map<String, String> state) {
        return new CheckpointInfo(step, scheme, ranks, dtype, moments, new TreeMap<>(state));
    }

    /** What a kind of tensor is stored in. */
    DType stored(Kind kind) {
        return kind == Kind.PARAMETER ? DType.F32 : moments;
    }

    private static void requireFloat(DType dtype) {
        if (dtype != DType.F32 && dtype != DType.BF16) {
            throw new IllegalArgumentException("a checkpoint is of f32 or bf16, not of " + dtype);
        }
    }
}
