package io.tsp.checkpoint;

import io.tsp.model.WeightBlock;
import io.tsp.tensor.DType;
import java.nio.ByteBuffer;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Reads rectangles of stored matrices. Whole rows come in large pieces, straight into the target where nothing has to
 * be cast; narrow columns are picked out of whole rows, because a system call costs more than the bytes it would
 * skip.
 */
public final class BlockReader {
    private static final int SCRATCH_BYTES = 1 << 19;
    /** Bytes of a row that are cheaper to read and drop than to skip with one more system call. */
    private static final long CHEAP_GAP_BYTES = 16 << 10;

    /** Where bytes wait to be cast, for one thread at a time. */
    private static final class Scratch {
        final ByteBuffer bytes = ByteBuffer.allocateDirect(SCRATCH_BYTES);
        final Casts casts = new Casts();
    }

    private final Queue<Scratch> idle = new ConcurrentLinkedQueue<>();

    /**
     * Appends the block's elements, which exist, to target, which has room for them. For any number of threads.
     *
     * @param columns of the stored matrix
     * @param dtype F32 or BF16
     */
    public void read(
            SafetensorsFile file,
            StoredTensor tensor,
            long columns,
            WeightBlock block,
            DType dtype,
            ByteBuffer target) {
        Scratch scratch = idle.poll();
        Span span = new Span(file, tensor, dtype, target, scratch == null ? new Scratch() : scratch);
        try {
            long gap = (columns - block.columnCount()) * tensor.type().bytes();
            if (gap == 0) {
                span.copy(block.firstRow() * columns, block.rowCount() * columns);
            } else if (gap > CHEAP_GAP_BYTES || columns * tensor.type().bytes() > SCRATCH_BYTES) {
                for (long row = block.firstRow(); row < block.firstRow() + block.rowCount(); row++) {
                    span.copy(row * columns + block.firstColumn(), block.columnCount());
                }
            } else {
                span.pick(columns, block);
            }
        } finally {
            idle.add(span.scratch);
        }
    }

    private record Span(SafetensorsFile file, StoredTensor tensor, DType dtype, ByteBuffer target, Scratch scratch) {
        /** Elements that follow each other. */
        void copy(long first, long count) {
            int size = tensor.type().bytes();
            if (Casts.isSame(tensor.type(), dtype)) {
                ByteBuffer part = target.slice(target.position(), Math.toIntExact(count * size));
                file.read(tensor, first * size, part);
                target.position(target.position() + part.capacity());
                return;
            }
            int piece = SCRATCH_BYTES / size;
            for (long done = 0; done < count; done += piece) {
                ByteBuffer bytes = scratch.bytes.clear().limit((int) Math.min(piece, count - done) * size);
                file.read(tensor, (first + done) * size, bytes);
                scratch.casts.append(bytes.flip(), tensor.type(), target, dtype);
            }
        }

        /** Columns out of rows that are read whole. */
        void pick(long columns, WeightBlock block) {
            int size = tensor.type().bytes();
            int rowBytes = (int) columns * size;
            int rowsAtOnce = SCRATCH_BYTES / rowBytes;
            int begin = (int) block.firstColumn() * size;
            int partBytes = (int) block.columnCount() * size;
            for (long done = 0; done < block.rowCount(); done += rowsAtOnce) {
                int rows = (int) Math.min(rowsAtOnce, block.rowCount() - done);
                ByteBuffer bytes = scratch.bytes.clear().limit(rows * rowBytes);
                file.read(tensor, (block.firstRow() + done) * rowBytes, bytes);
                for (int row = 0; row < rows; row++) {
                    ByteBuffer part = scratch.bytes.slice(row * rowBytes + begin, partBytes);
                    scratch.casts.append(part, tensor.type(), target, dtype);
                }
            }
        }
    }
}
