package io.tsp.ffm;

import io.tsp.ffm.generated.mpi.tsp_mpi;
import io.tsp.ffm.generated.mpi.tsp_mpi_h;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * The functions of {@code libtsp_mpi}, checked against the header this build was generated from. What each does, and
 * which thread may call it when, stands in {@code native/mpi/tsp_mpi.h}. Valid for the life of the process.
 */
public final class MpiTable {
    private static final String ENTRY = "tsp_mpi_get";
    private static final FunctionDescriptor ENTRY_DESCRIPTOR = FunctionDescriptor.of(tsp_mpi_h.C_POINTER);

    private final MemorySegment table;

    private MpiTable(MemorySegment table) {
        this.table = table;
    }

    /**
     * Asks {@code library} for its table.
     *
     * @param library what {@link NativeLibraries#load} returned for {@link NativeLibrary#MPI}
     * @throws NativeLibraryException if the library's ABI is not the one this build needs
     */
    public static MpiTable open(Path library) {
        MemorySegment table = invokeEntry(TableEntry.find(library, ENTRY)).reinterpret(tsp_mpi.sizeof());
        AbiCheck.requireCompatible(
                library,
                tsp_mpi.abi_version(table),
                tsp_mpi_h.TSP_MPI_ABI_VERSION(),
                tsp_mpi.struct_size(table),
                tsp_mpi.sizeof());
        return new MpiTable(table);
    }

    private static MemorySegment invokeEntry(MemorySegment entry) {
        try {
            return (MemorySegment) Linker.nativeLinker()
                    .downcallHandle(entry, ENTRY_DESCRIPTOR)
                    .invokeExact();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(ENTRY + " threw a checked exception, which a downcall cannot", e);
        }
    }

    /** Git id, compiler and the MPI it was compiled with, as {@code key=value; ...}. */
    public String buildInfo() {
        return tsp_mpi.build_info(table).getString(0);
    }

    /** Joins the launcher's processes; {@code info} is a {@code tsp_mpi_info} with its size set. */
    public void init(MemorySegment info, NativeError error) {
        error.check(tsp_mpi.init.invoke(tsp_mpi.init(table), info, error.segment()), "MPI init");
    }

    /** Posts a message and writes its request, an int64, to {@code request}. */
    public void send(MemorySegment data, long bytes, int peer, int channel, MemorySegment request, NativeError error) {
        MemorySegment send = tsp_mpi.send(table);
        error.check(
                tsp_mpi.send.invoke(send, data, bytes, peer, channel, request, error.segment()),
                "MPI send to rank " + peer);
    }

    /** Posts a receive and writes its request, an int64, to {@code request}. */
    public void recv(MemorySegment data, long bytes, int peer, int channel, MemorySegment request, NativeError error) {
        MemorySegment recv = tsp_mpi.recv(table);
        error.check(
                tsp_mpi.recv.invoke(recv, data, bytes, peer, channel, request, error.segment()),
                "MPI receive from rank " + peer);
    }

    /** True once the transfer is complete; then its request is gone. Also moves every other transfer forward. */
    public boolean test(long request, NativeError error) {
        int status = tsp_mpi.test.invoke(tsp_mpi.test(table), request, error.segment());
        if (status == Status.NOT_READY.code()) {
            return false;
        }
        error.check(status, "MPI test");
        return true;
    }

    /** Asks for the early end of a receive; go on testing it. */
    public void cancel(long request, NativeError error) {
        error.check(tsp_mpi.cancel.invoke(tsp_mpi.cancel(table), request, error.segment()), "MPI cancel");
    }

    /** Lets go of a request that will not be tested again. */
    public void release(long request, NativeError error) {
        error.check(tsp_mpi.release.invoke(tsp_mpi.release(table), request, error.segment()), "MPI release");
    }

    /** Ends the processes of all ranks; returns only by exception. */
    public void abort(int exitCode, NativeError error) {
        error.check(tsp_mpi.abort.invoke(tsp_mpi.abort(table), exitCode, error.segment()), "MPI abort");
    }

    /** Leaves MPI, with all other ranks. */
    public void finish(NativeError error) {
        error.check(tsp_mpi.finalize.invoke(tsp_mpi.finalize(table), error.segment()), "MPI finalize");
    }
}
