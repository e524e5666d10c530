package io.tsp.comm.mpi;

import io.tsp.ffm.MpiTable;
import io.tsp.ffm.NativeError;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.Status;
import io.tsp.ffm.generated.mpi.tsp_mpi_h;
import io.tsp.ffm.generated.mpi.tsp_mpi_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The processes that a launcher started, this one among them. Joined and left on the same thread. */
public final class MpiWorld implements AutoCloseable {
    private final MpiTable table;
    private final Arena arena = Arena.ofShared();
    private final int rank;
    private final int size;
    private final String library;

    /**
     * Waits for all processes to join.
     *
     * @throws NativeException if MPI cannot start, or cannot be called from several threads
     */
    public MpiWorld(MpiTable table) {
        this.table = table;
        MemorySegment info = tsp_mpi_info.allocate(arena);
        tsp_mpi_info.struct_size(info, Math.toIntExact(tsp_mpi_info.sizeof()));
        table.init(info, new NativeError(arena));
        rank = tsp_mpi_info.rank(info);
        size = tsp_mpi_info.size(info);
        library = tsp_mpi_info.library(info).getString(0);
        if (tsp_mpi_info.thread_level(info) < tsp_mpi_h.TSP_MPI_THREAD_MULTIPLE()) {
            throw new NativeException(
                    Status.UNSUPPORTED,
                    "MPI init",
                    library + " cannot be called from several threads; use an MPI built with MPI_THREAD_MULTIPLE");
        }
    }

    MpiTable table() {
        return table;
    }

    public int rank() {
        return rank;
    }

    public int size() {
        return size;
    }

    /** What MPI calls itself. */
    public String library() {
        return library;
    }

    /** Ends the processes of all ranks with an exit code. */
    public void abort(int exitCode) {
        table.abort(exitCode, new NativeError(arena));
    }

    @Override
    public void close() {
        table.finish(new NativeError(arena));
    }
}
