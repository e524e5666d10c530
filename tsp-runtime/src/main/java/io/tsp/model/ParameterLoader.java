package io.tsp.model;

import io.tsp.mesh.Range;
import io.tsp.op.ComputeOp.PackPanels;
import io.tsp.op.Panels;
import io.tsp.program.Session;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.function.LongConsumer;

/** Fills a rank's weights, block by block: no weight is ever whole on the host. */
public final class ParameterLoader {
    private static final int BUFFER_BYTES = 16 << 20;

    private final Session session;
    private final WeightSource source;
    private final LongConsumer progress;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);

    /** @param progress told the bytes of each block that was loaded */
    public ParameterLoader(Session session, WeightSource source, LongConsumer progress) {
        this.session = session;
        this.source = source;
        this.progress = progress;
    }

    /**
     * Fills all parameters of one rank.
     *
     * @param staging memory of the rank for blocks on their way into panels, one dimension
     * @throws ModelException if the source lacks a weight or it has another shape
     */
    public void load(int rank, List<Parameter> parameters, Tensor staging) {
        for (Parameter parameter : parameters) {
            switch (parameter.source()) {
                case Parameter.Block block -> copy(rank, block, parameter.tensor());
                case Parameter.Panels panels -> pack(rank, panels, parameter.tensor(), staging);
                case Parameter.GateUpPanels panels -> pack(rank, panels, parameter.tensor(), staging);
            }
        }
    }

    private void copy(int rank, Parameter.Block block, Tensor target) {
        long columns = block.columns().count();
        transfer(
                rank,
                block.name(),
                block.rows(),
                block.columns(),
                target.reshape(block.rows().count(), columns));
    }

    private void pack(int rank, Parameter.Panels panels, Tensor target, Tensor staging) {
        long columns = panels.columns().count();
        long step = stagedRows(staging, columns, Panels.COLUMNS);
        for (long from = 0; from < panels.rows().count(); from += step) {
            Range rows = block(panels.rows(), from, step);
            Tensor staged = staging.rows(0, rows.count() * columns).reshape(rows.count(), columns);
            transfer(rank, panels.name(), rows, panels.columns(), staged);
            session.execute(rank, new PackPanels(staged, null, target, from / Panels.COLUMNS));
        }
    }

    private void pack(int rank, Parameter.GateUpPanels panels, Tensor target, Tensor staging) {
        long columns = panels.columns().count();
        long step = stagedRows(staging, 2 * columns, Panels.FEATURES);
        for (long from = 0; from < panels.rows().count(); from += step) {
            Range rows = block(panels.rows(), from, step);
            long count = rows.count() * columns;
            Tensor gate = staging.rows(0, count).reshape(rows.count(), columns);
            Tensor up = staging.rows(count, count).reshape(rows.count(), columns);
            transfer(rank, panels.gate(), rows, panels.columns(), gate);
            transfer(rank, panels.up(), rows, panels.columns(), up);
            session.execute(rank, new PackPanels(gate, up, target, from / Panels.FEATURES));
        }
    }

    private static long stagedRows(Tensor staging, long columns, long unit) {
        return Math.max(unit, staging.count() / Math.max(1, columns) / unit * unit);
    }

    private static Range block(Range rows, long from, long step) {
        return new Range(rows.from() + from, Math.min(rows.to(), rows.from() + from + step));
    }

    private void transfer(int rank, String name, Range rows, Range columns, Tensor target) {
        DType dtype = target.dtype();
        long rowBytes = Math.max(1, columns.count() * dtype.bytes());
        long step = Math.max(1, BUFFER_BYTES / rowBytes);
        for (long from = 0; from < rows.count(); from += step) {
            long count = Math.min(step, rows.count() - from);
            buffer.clear().limit(Math.toIntExact(count * columns.count() * dtype.bytes()));
            source.read(name, rows.from() + from, count, columns.from(), columns.count(), dtype, buffer);
            session.write(rank, target.rows(from, count), buffer.flip());
            progress.accept(buffer.limit());
        }
    }
}
