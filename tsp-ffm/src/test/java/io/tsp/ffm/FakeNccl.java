package io.tsp.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/** Writes down what each call was asked for, in the order of nccl.h; communicator 666 has lost a peer, 7 is busy. */
final class FakeNccl {
    private static final String SOURCE = """
            #include <stdio.h>
            #include <string.h>
            typedef size_t u;
            typedef struct { char internal[128]; } id;
            typedef struct { size_t size; unsigned magic, version; int blocking, cga, min, max; } config;
            static char text[1000];
            static u *late;
            #define SAY(...) do { snprintf(text, sizeof text, __VA_ARGS__); return comm == 666 ? 6 : comm == 7 ? 7 : 0; } while (0)
            const char *calls_text(void) { return text; }
            void calls_fill(void) { *late = 99; }
            int ncclGetVersion(int *v) { *v = VERSION; return 0; }
            const char *ncclGetErrorString(int c) { return c == 6 ? "remote process exited" : "other words"; }
            const char *ncclGetLastError(u comm) { return comm == 666 ? "rank 3 is gone\\n" : ""; }
            int ncclGetUniqueId(id *i) { for (int k = 0; k < 128; k++) i->internal[k] = (char)k; return 0; }
            int ncclCommInitRankConfig(u *out, int n, id i, int rank, config *c) {
                u comm = 0; *out = 55;
                SAY("join %d %d %d %d blocking %d ctas %d %d", n, i.internal[0], i.internal[127], rank, c->blocking, c->min, c->max);
            }
            int ncclCommGetAsyncError(u comm, int *code) { *code = comm == 666 ? 6 : comm == 7 ? 7 : 0; return comm ? 0 : 4; }
            int ncclCommAbort(u comm) { SAY("abort %zu", comm); }
            int ncclCommFinalize(u comm) { SAY("finalize %zu", comm); }
            int ncclCommDestroy(u comm) { SAY("destroy %zu", comm); }
            int ncclBroadcast(u a, u b, u n, int t, int r, u comm, u s) { SAY("broadcast %zu %zu %zu %d %d %zu %zu", a, b, n, t, r, comm, s); }
            int ncclAllGather(u a, u b, u n, int t, u comm, u s) { SAY("gather %zu %zu %zu %d %zu %zu", a, b, n, t, comm, s); }
            int ncclReduceScatter(u a, u b, u n, int t, int o, u comm, u s) { SAY("scatter %zu %zu %zu %d %d %zu %zu", a, b, n, t, o, comm, s); }
            int ncclAllReduce(u a, u b, u n, int t, int o, u comm, u s) { SAY("reduce %zu %zu %zu %d %d %zu %zu", a, b, n, t, o, comm, s); }
            int ncclSend(u a, u n, int t, int p, u comm, u s) { SAY("send %zu %zu %d %d %zu %zu", a, n, t, p, comm, s); }
            int ncclRecv(u a, u n, int t, int p, u comm, u s) { SAY("recv %zu %zu %d %d %zu %zu", a, n, t, p, comm, s); }
            int ncclGroupStart(void) { u comm = 0; SAY("start"); }
            int ncclGroupEnd(void) { u comm = 7; SAY("end"); }
            #if VERSION >= 22703
            int ncclCommSplit(u comm, int color, int key, u *out, config *c) { late = out; SAY("split %zu %d %d %d", comm, color, key, c == 0); }
            int ncclCommShrink(u comm, int *list, int n, u *out, config *c, int f) {
                late = out; SAY("shrink %zu %d %d %d %d %d", comm, list[0], list[n - 1], n, c == 0, f);
            }
            int ncclMemAlloc(u *out, u n) { u comm = 0; *out = 4096; SAY("allocate %zu", n); }
            int ncclMemFree(u p) { u comm = 0; SAY("free %zu", p); }
            int ncclCommWindowRegister(u comm, u p, u n, u *out, int f) { late = out; SAY("window %zu %zu %zu %d", comm, p, n, f); }
            int ncclCommWindowDeregister(u comm, u w) { SAY("unwindow %zu %zu", comm, w); }
            #endif
            """;

    private final Path library;

    private FakeNccl(Path library) {
        this.library = library;
    }

    /** Before 22703, without what came later than the first functions. */
    static FakeNccl compile(Path folder, int version) throws Exception {
        return new FakeNccl(CLibrary.compile(
                folder, "libnccl" + version + ".so", SOURCE.replace("VERSION", Integer.toString(version))));
    }

    Path library() {
        return library;
    }

    /** What the last call was asked for. */
    String asked() {
        try {
            MemorySegment text = (MemorySegment) Linker.nativeLinker()
                    .downcallHandle(find("calls_text"), FunctionDescriptor.of(ValueLayout.ADDRESS))
                    .invokeExact();
            return text.reinterpret(1000).getString(0);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /** Writes the handle, 99, that the last call still owes. */
    void fill() {
        try {
            Linker.nativeLinker()
                    .downcallHandle(find("calls_fill"), FunctionDescriptor.ofVoid())
                    .invokeExact();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private MemorySegment find(String name) {
        return SymbolLookup.libraryLookup(library, Arena.global()).findOrThrow(name);
    }
}
