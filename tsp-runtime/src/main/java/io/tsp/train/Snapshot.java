package io.tsp.train;

import io.tsp.checkpoint.sharded.Kind;
import io.tsp.checkpoint.sharded.RankState;
import io.tsp.model.Parameter.Block;
import io.tsp.program.Session;
import io.tsp.scheme.TrainingProgram.State;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A copy, outside the Java heap, of what a rank's optimizer keeps and the rank owns: it is written while training goes on.
 * The memory is taken once and filled again for each checkpoint.
 */
final class Snapshot implements RankState {
    private static final long PIECE_BYTES = 256 << 20;

    private final int rank;
    private final Map<Block, Map<Kind, Copy>> copies = new LinkedHashMap<>();

    /** Whole rows of a tensor in pieces of at most {@link #PIECE_BYTES}, or of one row. */
    private record Copy(Tensor tensor, long rowsOfPiece, List<ByteBuffer> pieces) {
        static Copy of(Block block, Tensor flat) {
            long columns = block.columns().count();
            Tensor rows = flat.reshape(block.rows().count(), columns);
            long rowBytes = Math.max(1, columns * flat.dtype().bytes());
            long rowsOfPiece = Math.max(1, PIECE_BYTES / rowBytes);
            List<ByteBuffer> pieces = new ArrayList<>();
            for (long from = 0; from < rows.dim(0); from += rowsOfPiece) {
                long count = Math.min(rowsOfPiece, rows.dim(0) - from);
                pieces.add(ByteBuffer.allocateDirect(Math.toIntExact(count * rowBytes))
                        .order(ByteOrder.LITTLE_ENDIAN));
            }
            return new Copy(rows, rowsOfPiece, pieces);
        }

        void take(Session session, int rank) {
            for (int i = 0; i < pieces.size(); i++) {
                long from = i * rowsOfPiece;
                Tensor part = tensor.rows(from, Math.min(rowsOfPiece, tensor.dim(0) - from));
                session.read(rank, part, pieces.get(i).clear());
            }
        }

        void read(long firstRow, long rows, ByteBuffer target) {
            long rowBytes = tensor.dim(1) * tensor.dtype().bytes();
            for (long row = firstRow; row < firstRow + rows; ) {
                long begin = row % rowsOfPiece;
                long count = Math.min(firstRow + rows - row, rowsOfPiece - begin);
                ByteBuffer piece = pieces.get(Math.toIntExact(row / rowsOfPiece));
                target.put(piece.slice(Math.toIntExact(begin * rowBytes), Math.toIntExact(count * rowBytes)));
                row += count;
            }
        }
    }

    private Snapshot(int rank) {
        this.rank = rank;
    }

    /** Takes memory for the states of a rank that the rank owns. */
    static Snapshot of(int rank, List<State> states) {
        Snapshot snapshot = new Snapshot(rank);
        for (State state : states) {
            if (state.owner() && !state.parameter().isEmpty()) {
                Map<Kind, Copy> kinds = new EnumMap<>(Kind.class);
                kinds.put(Kind.PARAMETER, Copy.of(state.block(), state.parameter()));
                kinds.put(Kind.FIRST, Copy.of(state.block(), state.first()));
                kinds.put(Kind.SECOND, Copy.of(state.block(), state.second()));
                snapshot.copies.put(state.block(), kinds);
            }
        }
        return snapshot;
    }

    /** Bytes that copies of the owned states take. */
    static long bytes(List<State> states) {
        return states.stream()
                .filter(State::owner)
                .mapToLong(state -> state.parameter().bytes()
                        + state.first().bytes()
                        + state.second().bytes())
                .sum();
    }

    /** Copies what the optimizer keeps now; nothing may run in the session. */
    void take(Session session) {
        copies.values().forEach(kinds -> kinds.values().forEach(copy -> copy.take(session, rank)));
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public List<Block> blocks() {
        return List.copyOf(copies.keySet());
    }

    @Override
    public void read(Kind kind, Block block, long firstRow, long rows, ByteBuffer target) {
        Map<Kind, Copy> kinds = copies.get(block);
        Copy copy = kinds == null ? null : kinds.get(kind);
        if (copy == null) {
            throw new IllegalArgumentException("rank " + rank + " does not own " + block);
        }
        copy.read(firstRow, rows, target);
    }
}
