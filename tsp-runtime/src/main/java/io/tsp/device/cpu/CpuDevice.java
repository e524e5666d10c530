package io.tsp.device.cpu;

import io.tsp.device.Buffer;
import io.tsp.device.Device;
import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.device.kernels.KernelLibrary;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.op.ComputeOp;
import java.lang.foreign.Arena;
import java.util.HashMap;
import java.util.Map;

/**
 * Some threads of this machine's CPU as one rank's device. Ranks of one process take turns on the cores, so that no
 * more threads compute at a time than the user allows.
 *
 * <p>Reading order: before this {@code Executor}; next {@link KernelLibrary}.
 */
public final class CpuDevice implements Device {
    private final Arena arena = Arena.ofShared();
    private final CpuGemms gemms;
    private final KernelLibrary library;
    private final Cores cores;
    private final Transfers transfers;
    private final int threads;
    private final String description;
    private final Map<ComputeOp, Kernel> prepared = new HashMap<>();

    /**
     * @param threads threads of each kernel
     * @param cores what this rank shares with others of the process
     */
    public CpuDevice(KernelTable table, Dnnl dnnl, int threads, Cores cores) {
        this.threads = threads;
        this.cores = cores;
        gemms = new CpuGemms(dnnl, threads);
        library = new KernelLibrary(table, gemms, threads, arena);
        transfers = new CpuTransfers(new CpuOrderedSum(table));
        description = "cpu " + table.isa() + ", " + threads + (threads == 1 ? " thread" : " threads");
    }

    @Override
    public String description() {
        return description;
    }

    @Override
    public Buffer allocate(long bytes) {
        try {
            return new CpuBuffer(bytes);
        } catch (OutOfMemoryError e) {
            throw new OutOfMemoryException("this machine does not have the " + (bytes >> 20)
                    + " MiB that a rank asks for; use a smaller batch or sequence, or more ranks");
        }
    }

    @Override
    public Stream openStream(String name, Stream.Priority priority) {
        return new CpuStream(name);
    }

    @Override
    public Transfers transfers(Stream stream) {
        return transfers;
    }

    @Override
    public Kernel prepare(ComputeOp op) {
        return prepared.computeIfAbsent(op, key -> new SharedCores(library.prepare(key)));
    }

    @Override
    public void close() {
        gemms.close();
        arena.close();
    }

    /** Takes the kernel's threads from the process' cores while it runs. */
    private final class SharedCores implements Kernel {
        private final Kernel kernel;

        SharedCores(Kernel kernel) {
            this.kernel = kernel;
        }

        @Override
        public long workspaceBytes() {
            return kernel.workspaceBytes();
        }

        @Override
        public Launch bind(Binding binding) {
            Launch launch = kernel.bind(binding);
            return () -> cores.use(threads, launch::run);
        }
    }
}
