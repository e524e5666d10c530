package io.tsp.cost;

import io.tsp.cost.DeviceProfile.Gemm;
import io.tsp.cost.DeviceProfile.Tile;
import io.tsp.op.Access;
import io.tsp.op.ComputeOp;
import io.tsp.op.Op;
import io.tsp.op.TrainingOp;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;

/**
 * Seconds of the work of one device: the longer of what its arithmetic and what its memory needs, behind a launch. The
 * arithmetic of a matrix product comes in tiles, dealt out to units in waves, so the last wave may be nearly empty;
 * that of attention goes by the pairs of queries and keys that see each other, exactly.
 *
 * <p>Reading order: before this {@link HardwareProfile}; exchanges: {@link ExchangeCost}; next {@code Simulator}.
 */
public final class CostModel {
    /** Rows of queries that a unit takes at a time. */
    private static final long QUERY_TILE = 128;

    private static final double REFERENCE_FLOPS_PER_BYTE = 256;

    private final DeviceProfile device;
    private final int units;

    /** @param besideTransfers whether transfers keep some of the units for themselves */
    public CostModel(DeviceProfile device, boolean besideTransfers) {
        this.device = device;
        units = device.units() - (besideTransfers ? device.transferUnits() : 0);
    }

    /** Scratch memory that an op asks for. */
    public static long workspaceBytes(DeviceProfile device, Op op) {
        return device.workspaceBytes().getOrDefault(op.name(), 0L);
    }

    /** What an op costs. */
    public Cost of(ComputeOp op) {
        return switch (op) {
            case ComputeOp.Gemm gemm ->
                cost(op, matrix(gemm.a().dtype(), gemm.out().dim(0), gemm.out().dim(1), gemm.depth()));
            case ComputeOp.Attention attention -> cost(op, attention(attention, true));
            case ComputeOp.GatedMlp mlp -> cost(op, gatedMlp(mlp));
            case ComputeOp.Embedding embedding -> ofBytes(2.0 * embedding.out().bytes());
            case ComputeOp.PackPanels _,
                    ComputeOp.RmsNorm _,
                    ComputeOp.Rope _,
                    ComputeOp.CrossEntropyUpdate _,
                    ComputeOp.CrossEntropyMerge _,
                    ComputeOp.CrossEntropyFinish _,
                    ComputeOp.Copy _ -> ofBytes(bytes(op));
            case TrainingOp training -> of(training);
        };
    }

    private Cost of(TrainingOp op) {
        return switch (op) {
            case TrainingOp.AttentionBackward backward -> cost(op, attention(backward.forward(), false));
            case TrainingOp.GatedMlpBackward backward -> cost(op, gatedMlpBackward(backward));
            case TrainingOp.EmbeddingBackward backward ->
                ofBytes(3.0 * backward.dOut().bytes()
                        + (backward.accumulate() ? 0 : backward.dTable().bytes()));
            case TrainingOp.RmsNormBackward _,
                    TrainingOp.CrossEntropyBackward _,
                    TrainingOp.ColumnSum _,
                    TrainingOp.Sum _,
                    TrainingOp.SquareSum _,
                    TrainingOp.Clip _,
                    TrainingOp.AdamW _ -> ofBytes(bytes(op));
        };
    }

    /** Arithmetic of an op: how much, how long if memory had no limit, and how many kernels it takes. */
    private record Arithmetic(double flops, double seconds, int launches, double moreBytes) {
        Arithmetic and(Arithmetic other) {
            return new Arithmetic(
                    flops + other.flops,
                    seconds + other.seconds,
                    launches + other.launches,
                    moreBytes + other.moreBytes);
        }

        Arithmetic with(double intermediateBytes) {
            return new Arithmetic(flops, seconds, launches, moreBytes + intermediateBytes);
        }
    }

    private Cost cost(ComputeOp op, Arithmetic arithmetic) {
        double bytes = bytes(op) + arithmetic.moreBytes;
        double seconds = Math.max(arithmetic.seconds, bytes / device.memoryBytesPerSecond());
        return new Cost(arithmetic.flops, bytes, seconds + arithmetic.launches * device.launchSeconds());
    }

    private Cost ofBytes(double bytes) {
        return new Cost(0, bytes, bytes / device.memoryBytesPerSecond() + device.launchSeconds());
    }

    private static double bytes(ComputeOp op) {
        double bytes = 0;
        for (Access access : op.accesses()) {
            bytes += (access.mode() == Access.Mode.ACCUMULATE ? 2.0 : 1.0)
                    * access.tensor().bytes();
        }
        return bytes;
    }

    /** [rows, depth] times [depth, columns] with the tile that suits best. */
    private Arithmetic matrix(DType dtype, long rows, long columns, long depth) {
        Gemm rates = device.gemm(dtype);
        double best = Double.POSITIVE_INFINITY;
        for (Tile tile : rates.tiles()) {
            double tiles = Math.ceil((double) rows / tile.rows()) * Math.ceil((double) columns / tile.columns());
            double waves = Math.ceil(tiles / units);
            double perUnit = rates.sustained() * tile.efficiency() / device.units();
            double flops = 2.0 * tile.rows() * tile.columns() * (depth + rates.startupDepth());
            best = Math.min(best, waves * flops / perUnit);
        }
        return new Arithmetic(2.0 * rows * columns * depth, best, 1, 0);
    }

    private Arithmetic attention(ComputeOp.Attention op, boolean forward) {
        Tensor q = op.q();
        DeviceProfile.Attention rates = device.attention(q.dtype(), q.dim(2));
        double flopsOfPair = (forward ? 4.0 : 10.0) * q.dim(2);
        double rate = forward ? rates.forward() : rates.backward();
        double startup = forward ? rates.forwardStartupKeys() : rates.backwardStartupKeys();
        double pairs = (double) VisiblePairs.count(op.qChunks(), op.kChunks(), op.window()) * op.batch() * q.dim(1);
        double shared = (pairs + startup * q.dim(0) * q.dim(1)) * flopsOfPair / rate * device.units() / units;
        // Nothing is shared finer than a tile of queries of one head.
        double longest = (VisiblePairs.most(op.qChunks(), op.kChunks(), op.window()) + startup)
                * Math.min(QUERY_TILE, q.dim(0))
                * flopsOfPair
                / (rate / device.units());
        return new Arithmetic(pairs * flopsOfPair, Math.max(shared, longest), 1, 0);
    }

    private Arithmetic gatedMlp(ComputeOp.GatedMlp op) {
        DType dtype = op.x().dtype();
        long tokens = op.x().dim(0);
        long hidden = op.x().dim(1);
        double between = 2.0 * tokens * op.intermediate() * dtype.bytes();
        return matrix(dtype, tokens, 2 * op.intermediate(), hidden)
                .and(matrix(dtype, tokens, hidden, op.intermediate()))
                .with(between);
    }

    private Arithmetic gatedMlpBackward(TrainingOp.GatedMlpBackward op) {
        DType dtype = op.x().dtype();
        long tokens = op.x().dim(0);
        long hidden = op.x().dim(1);
        Arithmetic gradients = matrix(dtype, tokens, op.intermediate(), hidden)
                .and(matrix(dtype, tokens, hidden, 2 * op.intermediate()));
        return op.saved() != null ? gradients : gradients.and(matrix(dtype, tokens, 2 * op.intermediate(), hidden));
    }

    /** What the work of an op weighs on hardware that does 256 FLOP while it moves a byte, in no unit: all alike. */
    public static long weight(Cost cost) {
        return Math.max(1, Math.round(Math.max(cost.flops() / REFERENCE_FLOPS_PER_BYTE, cost.bytes())));
    }
}
