package io.tsp.ffm;

import static io.tsp.ffm.generated.nccl.nccl_h.*;
import static io.tsp.ffm.generated.nccl.tsp_nccl.*;

import io.tsp.ffm.generated.nccl.ncclUniqueId;
import io.tsp.ffm.generated.nccl.tsp_nccl;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;

/**
 * NCCL, or RCCL, which has the same functions. Communicators are non-blocking: a call may return before it is done, and
 * {@link #isReady} says when it is; no other call may use the communicator until then. The calling thread's device must
 * be the communicator's.
 *
 * <p>Counts are elements; addresses are of the device's memory. Each collective is enqueued in a stream.
 *
 * @see <a href="https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/">NCCL user guide</a>
 */
public final class Nccl {
    private static final int OLDEST = 21700;

    /** The version that brought each function which need not be there. */
    private static final Map<String, String> LATER = Map.of(
            "ncclCommSplit", "2.18",
            "ncclMemAlloc", "2.19",
            "ncclMemFree", "2.19",
            "ncclCommShrink", "2.27",
            "ncclCommWindowRegister", "2.27",
            "ncclCommWindowDeregister", "2.27");

    private final Symbols symbols;
    private final MemorySegment nccl;
    private final NcclStatus status;
    private final int versionNumber;

    private Nccl(Symbols symbols) {
        this.symbols = symbols;
        nccl = symbols.table(tsp_nccl.layout());
        status = new NcclStatus(nccl);
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.JAVA_INT);
            status.check(ncclGetVersion.invoke(ncclGetVersion(nccl), out), "ncclGetVersion");
            versionNumber = out.get(ValueLayout.JAVA_INT, 0);
        }
    }

    /**
     * Loads NCCL; needs neither a driver nor a GPU.
     *
     * @throws NativeLibraryException if it is missing, cannot be loaded or is older than 2.17
     */
    public static Nccl load(GpuLibraries libraries) {
        return open(libraries.find(GpuLibrary.NCCL));
    }

    /** As {@link #load}, from this file. */
    public static Nccl open(Path library) {
        Nccl nccl = new Nccl(Symbols.load(library, "NCCL", "2.17", LATER));
        GpuLibrary.NCCL.requireVersion(library, nccl.versionNumber, OLDEST, "2.17");
        return nccl;
    }

    /** The file that is in use. */
    public Path library() {
        return symbols.library();
    }

    /** Such as {@code 2.30.7}. */
    public String version() {
        return versionNumber / 10000 + "." + versionNumber / 100 % 100 + "." + versionNumber % 100;
    }

    /** Whether {@link #split}, {@link #shrink}, {@link #allocate} and {@link #registerWindow} are there. */
    public boolean has(NcclFeature feature) {
        return feature.function(nccl).address() != 0;
    }

    /** A new name for a group of ranks: 128 bytes that one rank makes and gives to all. */
    public byte[] uniqueId() {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment id = ncclUniqueId.allocate(call);
            status.check(ncclGetUniqueId.invoke(ncclGetUniqueId(nccl), id), "ncclGetUniqueId");
            return id.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /**
     * Joins a group; to be called by all its ranks, each with its device. Returns at once.
     *
     * @param id what {@link #uniqueId} returned to one of them
     */
    public NcclHandle join(byte[] id, int ranks, int rank, NcclLimits limits) {
        if (id.length != ncclUniqueId.sizeof()) {
            throw new IllegalArgumentException(
                    "An id of NCCL has " + ncclUniqueId.sizeof() + " bytes, got " + id.length);
        }
        try (Arena call = Arena.ofConfined()) {
            MemorySegment name = ncclUniqueId.allocate(call).copyFrom(MemorySegment.ofArray(id));
            NcclHandle joined = new NcclHandle();
            status.check(
                    ncclCommInitRankConfig.invoke(
                            ncclCommInitRankConfig(nccl), joined.cell(), ranks, name, rank, limits.config(call)),
                    "ncclCommInitRankConfig of rank " + rank + " of " + ranks);
            return joined;
        }
    }

    /**
     * Whether everything that was asked of a communicator is done.
     *
     * @throws GpuException if something failed, such as a peer that is gone; then only {@link #abort} is left
     */
    public boolean isReady(long communicator) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.JAVA_INT);
            MemorySegment of = at(communicator);
            status.check(ncclCommGetAsyncError.invoke(ncclCommGetAsyncError(nccl), of, out), "ncclCommGetAsyncError");
            int code = out.get(ValueLayout.JAVA_INT, 0);
            status.check(code, "work of a communicator", communicator);
            return code != ncclInProgress();
        }
    }

    /** Ends work that goes on, also of peers that are gone, and frees the communicator. */
    public void abort(long communicator) {
        status.check(ncclCommAbort.invoke(ncclCommAbort(nccl), at(communicator)), "ncclCommAbort");
    }

    /** Begins an orderly end; poll {@link #isReady}, then {@link #destroy}. */
    public void finish(long communicator) {
        status.check(
                ncclCommFinalize.invoke(ncclCommFinalize(nccl), at(communicator)), "ncclCommFinalize", communicator);
    }

    /** Frees a communicator that {@link #finish} ended. */
    public void destroy(long communicator) {
        status.check(ncclCommDestroy.invoke(ncclCommDestroy(nccl), at(communicator)), "ncclCommDestroy");
    }

    /** Target of every rank becomes the source of {@code root}; may be in place. */
    public void broadcast(
            long source, long target, long count, NcclType type, int root, long communicator, long stream) {
        int code = ncclBroadcast.invoke(
                ncclBroadcast(nccl), at(source), at(target), count, type.code(), root, at(communicator), at(stream));
        status.check(code, "ncclBroadcast", communicator);
    }

    /** Target becomes the sources of all ranks, in their order: ranks * count elements. */
    public void allGather(long source, long target, long count, NcclType type, long communicator, long stream) {
        int code = ncclAllGather.invoke(
                ncclAllGather(nccl), at(source), at(target), count, type.code(), at(communicator), at(stream));
        status.check(code, "ncclAllGather", communicator);
    }

    /** Target becomes this rank's {@code count} elements of the ranks * count reduced ones. */
    public void reduceScatter(
            long source,
            long target,
            long count,
            NcclType type,
            NcclReduction reduction,
            long communicator,
            long stream) {
        int code = ncclReduceScatter.invoke(
                ncclReduceScatter(nccl),
                at(source),
                at(target),
                count,
                type.code(),
                reduction.code(),
                at(communicator),
                at(stream));
        status.check(code, "ncclReduceScatter", communicator);
    }

    /** Target of every rank becomes the reduced elements; may be in place. */
    public void allReduce(
            long source,
            long target,
            long count,
            NcclType type,
            NcclReduction reduction,
            long communicator,
            long stream) {
        int code = ncclAllReduce.invoke(
                ncclAllReduce(nccl),
                at(source),
                at(target),
                count,
                type.code(),
                reduction.code(),
                at(communicator),
                at(stream));
        status.check(code, "ncclAllReduce", communicator);
    }

    /** Sends to a peer that receives as much; sends and receives that depend on each other belong in a group. */
    public void send(long source, long count, NcclType type, int peer, long communicator, long stream) {
        int code = ncclSend.invoke(ncclSend(nccl), at(source), count, type.code(), peer, at(communicator), at(stream));
        status.check(code, "ncclSend to rank " + peer, communicator);
    }

    /** Receives from a peer that sends as much. */
    public void recv(long target, long count, NcclType type, int peer, long communicator, long stream) {
        int code = ncclRecv.invoke(ncclRecv(nccl), at(target), count, type.code(), peer, at(communicator), at(stream));
        status.check(code, "ncclRecv from rank " + peer, communicator);
    }

    /** Begins a group of calls of this thread, which are enqueued as one. */
    public void groupStart() {
        status.check(ncclGroupStart.invoke(ncclGroupStart(nccl)), "ncclGroupStart");
    }

    /** Enqueues the group; then poll {@link #isReady} of every communicator in it. */
    public void groupEnd() {
        status.check(ncclGroupEnd.invoke(ncclGroupEnd(nccl)), "ncclGroupEnd");
    }

    /**
     * A communicator of the ranks with the same color, ordered by {@code key}; the parent's ranks call it together.
     *
     * @param color below zero: this rank will be in none
     * @return there once the parent {@link #isReady}
     * @throws NativeLibraryException if this NCCL is older than 2.18, as {@link #has} tells
     */
    public NcclHandle split(long communicator, int color, int key) {
        MemorySegment function = symbols.require("ncclCommSplit", ncclCommSplit(nccl));
        NcclHandle child = new NcclHandle();
        int group = color < 0 ? NCCL_SPLIT_NOCOLOR() : color;
        int code = ncclCommSplit.invoke(function, at(communicator), group, key, child.cell(), MemorySegment.NULL);
        status.check(code, "ncclCommSplit", communicator);
        return child;
    }

    /**
     * A communicator of the ranks that are left, which call it together; what still goes on in the parent is aborted.
     *
     * @throws NativeLibraryException if this NCCL is older than 2.27, as {@link #has} tells
     */
    public NcclHandle shrink(long communicator, int... lost) {
        MemorySegment function = symbols.require("ncclCommShrink", ncclCommShrink(nccl));
        NcclHandle child = new NcclHandle();
        // NCCL may read the list after this call, which does not wait.
        MemorySegment list = Arena.global().allocateFrom(ValueLayout.JAVA_INT, lost);
        int code = ncclCommShrink.invoke(
                function, at(communicator), list, lost.length, child.cell(), MemorySegment.NULL, NCCL_SHRINK_ABORT());
        status.check(code, "ncclCommShrink", communicator);
        return child;
    }

    /** Memory of the thread's device that NCCL can use without copies; at least {@code bytes}. */
    public long allocate(long bytes) {
        MemorySegment function = symbols.require("ncclMemAlloc", ncclMemAlloc(nccl));
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.JAVA_LONG);
            status.check(ncclMemAlloc.invoke(function, out, bytes), "ncclMemAlloc of " + bytes + " bytes");
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /** Frees what {@link #allocate} returned. */
    public void free(long address) {
        MemorySegment function = symbols.require("ncclMemFree", ncclMemFree(nccl));
        status.check(ncclMemFree.invoke(function, at(address)), "ncclMemFree");
    }

    /** Declares memory that every rank has at the same place of its own allocation, for the fastest collectives. */
    public NcclHandle registerWindow(long communicator, long address, long bytes) {
        MemorySegment function = symbols.require("ncclCommWindowRegister", ncclCommWindowRegister(nccl));
        NcclHandle window = new NcclHandle();
        int code = ncclCommWindowRegister.invoke(
                function, at(communicator), at(address), bytes, window.cell(), NCCL_WIN_COLL_SYMMETRIC());
        status.check(code, "ncclCommWindowRegister of " + bytes + " bytes", communicator);
        return window;
    }

    /** Takes back {@link #registerWindow}. */
    public void deregisterWindow(long communicator, long window) {
        MemorySegment function = symbols.require("ncclCommWindowDeregister", ncclCommWindowDeregister(nccl));
        int code = ncclCommWindowDeregister.invoke(function, at(communicator), at(window));
        status.check(code, "ncclCommWindowDeregister", communicator);
    }

    private static MemorySegment at(long address) {
        return MemorySegment.ofAddress(address);
    }
}
