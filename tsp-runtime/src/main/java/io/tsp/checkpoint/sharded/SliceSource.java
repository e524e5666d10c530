package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.BlockReader;
import io.tsp.checkpoint.Printable;
import io.tsp.checkpoint.StoredTensor;
import io.tsp.checkpoint.sharded.Checkpoint.StoredSlice;
import io.tsp.mesh.Range;
import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import io.tsp.model.WeightBlock;
import io.tsp.model.WeightShapes;
import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Weights put together from slices: what overlaps the asked rectangle is read from each file, to its place. */
final class SliceSource implements WeightSource {
    private static final int SCRATCH_BYTES = 1 << 20;

    private final Kind kind;
    private final Path directory;
    private final Map<String, Shape> shapes;
    private final Map<String, List<StoredSlice>> slices;
    private final BlockReader blocks;

    SliceSource(
            Kind kind, Path directory, ModelConfig config, Map<String, List<StoredSlice>> slices, BlockReader blocks) {
        this.kind = kind;
        this.directory = directory;
        this.shapes = WeightShapes.of(config);
        this.slices = slices;
        this.blocks = blocks;
    }

    @Override
    public Shape shape(String name) {
        Shape shape = shapes.get(name);
        if (shape == null) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    directory + " has no weight named " + Printable.quote(name)
                            + "; it is a checkpoint of another model");
        }
        return shape;
    }

    @Override
    public void read(
            String name,
            long firstRow,
            long rowCount,
            long firstColumn,
            long columnCount,
            DType dtype,
            ByteBuffer target) {
        WeightBlock asked = new WeightBlock(firstRow, rowCount, firstColumn, columnCount);
        asked.requireInside(name, shape(name));
        ByteBuffer out = asked.claim(target, dtype);
        Range rows = new Range(firstRow, firstRow + rowCount);
        Range columns = new Range(firstColumn, firstColumn + columnCount);
        for (StoredSlice slice : slices.getOrDefault(name, List.of())) {
            Range commonRows = common(rows, slice.block().rows());
            Range commonColumns = common(columns, slice.block().columns());
            if (!commonRows.isEmpty() && !commonColumns.isEmpty()) {
                copy(slice, commonRows, commonColumns, asked, dtype, out);
            }
        }
    }

    @Override
    public void close() {}

    private static Range common(Range a, Range b) {
        long from = Math.max(a.from(), b.from());
        return new Range(from, Math.max(from, Math.min(a.to(), b.to())));
    }

    /** Copies rows and columns, which slice and asked rectangle both have. */
    private void copy(StoredSlice slice, Range rows, Range columns, WeightBlock asked, DType dtype, ByteBuffer out) {
        int rowBytes = Math.toIntExact(asked.columnCount() * dtype.bytes());
        int partBytes = Math.toIntExact(columns.count() * dtype.bytes());
        int place = Math.toIntExact((rows.from() - asked.firstRow()) * rowBytes);
        if (partBytes == rowBytes) {
            ByteBuffer whole = out.slice(place, Math.toIntExact(rows.count() * rowBytes));
            read(slice, rows, columns, dtype, whole.order(ByteOrder.LITTLE_ENDIAN));
            return;
        }
        place += Math.toIntExact((columns.from() - asked.firstColumn()) * dtype.bytes());
        long rowsAtOnce = Math.clamp(SCRATCH_BYTES / partBytes, 1, rows.count());
        ByteBuffer scratch =
                ByteBuffer.allocate(Math.toIntExact(rowsAtOnce * partBytes)).order(ByteOrder.LITTLE_ENDIAN);
        for (long row = rows.from(); row < rows.to(); row += rowsAtOnce) {
            Range band = new Range(row, Math.min(rows.to(), row + rowsAtOnce));
            read(slice, band, columns, dtype, scratch.clear());
            for (int i = 0; i < band.count(); i++) {
                out.put(place, scratch, i * partBytes, partBytes);
                place += rowBytes;
            }
        }
    }

    private void read(StoredSlice slice, Range rows, Range columns, DType dtype, ByteBuffer target) {
        Range sliceRows = slice.block().rows();
        Range sliceColumns = slice.block().columns();
        StoredTensor tensor = slice.file().tensors().get(kind.tensorName(slice.block()));
        if (tensor == null) {
            throw new IllegalStateException(slice + " was there when the checkpoint was opened");
        }
        WeightBlock part = new WeightBlock(
                rows.from() - sliceRows.from(), rows.count(), columns.from() - sliceColumns.from(), columns.count());
        blocks.read(slice.file(), tensor, sliceColumns.count(), part, dtype, target);
    }
}
