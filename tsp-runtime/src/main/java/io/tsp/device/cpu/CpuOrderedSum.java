package io.tsp.device.cpu;

import io.tsp.device.OrderedSum;
import io.tsp.device.kernels.TableSum;
import io.tsp.ffm.KernelTable;
import io.tsp.tensor.DType;

/** The kernel table's ordered sum, on the thread of the exchange that needs it. */
public final class CpuOrderedSum implements OrderedSum {
    private final TableSum table;

    public CpuOrderedSum(KernelTable table) {
        this.table = new TableSum(table);
    }

    @Override
    public void sum(DType dtype, long[] sources, long target, long count) {
        table.sum(0, dtype, sources, target, count);
    }
}
