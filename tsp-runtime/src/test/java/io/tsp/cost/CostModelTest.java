package io.tsp.cost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** A failure means that predicted times of single ops follow no longer from the profile. */
class CostModelTest {
    private static final DeviceProfile H100 = HardwareProfile.of("h100").device();
    private static final CostModel COSTS = new CostModel(H100, false);

    private static Tensor tensor(long rows, long columns) {
        Slot slot = new Slot(0, "t", MemoryClass.TRANSIENT, rows * columns * 2);
        return Tensor.dense(slot, 0, DType.BF16, Shape.of(rows, columns));
    }

    private static Cost gemm(CostModel costs, long m, long n, long k) {
        return costs.of(new Gemm(tensor(m, k), tensor(n, k), null, tensor(m, n), false));
    }

    /** 132 units and tiles of 128 x 256: 132 tiles are one wave, one more tile is another. */
    @Test
    void lastWaveCostsAsMuchAsFirst() {
        double one = gemm(COSTS, 128 * 12, 256 * 11, 65_536).seconds();
        double two = gemm(COSTS, 128 * 12 + 1, 256 * 11, 65_536).seconds();
        assertTrue(two > 1.5 * one, one + ", " + two);
        double full = gemm(COSTS, 128 * 24, 256 * 11, 65_536).seconds();
        assertEquals(2 * one, full, one / 100);
        assertTrue(two <= full, two + ", " + full);
    }

    @Test
    void largeGemmIsAsFastAsSustained() {
        Cost cost = gemm(COSTS, 128 * 132, 256 * 64, 16_384);
        double rate = cost.flops() / cost.seconds();
        assertTrue(rate < H100.gemm(DType.BF16).sustained(), rate + " FLOP/s");
        assertTrue(rate > 0.97 * H100.gemm(DType.BF16).sustained(), rate + " FLOP/s");
    }

    @Test
    void thinGemmIsAsFastAsMemory() {
        Cost cost = gemm(COSTS, 1, 16_384, 16_384);
        assertEquals(16_384.0 * 16_384 * 2 + 4.0 * 16_384, cost.bytes());
        assertEquals(H100.launchSeconds() + cost.bytes() / H100.memoryBytesPerSecond(), cost.seconds(), 1e-12);
    }

    @Test
    void transfersKeepUnits() {
        double alone = gemm(COSTS, 128 * 132, 256 * 64, 4096).seconds();
        double beside =
                gemm(new CostModel(H100, true), 128 * 132, 256 * 64, 4096).seconds();
        assertEquals(132.0 / (132 - 16), beside / alone, 0.02);
    }

    @Test
    void copyIsAsFastAsMemory() {
        Cost cost = COSTS.of(new Copy(tensor(1 << 14, 1 << 10), tensor(1 << 14, 1 << 10)));
        assertEquals(0x1p26, cost.bytes());
        assertEquals(H100.launchSeconds() + 0x1p26 / 3.01e12, cost.seconds(), 1e-12);
    }
}
