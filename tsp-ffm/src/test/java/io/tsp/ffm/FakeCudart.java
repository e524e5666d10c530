package io.tsp.ffm;

import io.tsp.ffm.generated.cudart.tsp_cudart;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

/** A runtime with two devices of 1,000 bytes; what it was asked for can be read. */
final class FakeCudart {
    private static final String SOURCE = """
            #include <stdlib.h>
            #include <string.h>
            typedef size_t handle;
            static int current = -1, last, priority;
            static size_t asked;
            static char text[1000];
            int calls_device(void) { return current; }
            int calls_last(void) { return last; }
            int calls_priority(void) { return priority; }
            int calls_asked(void) { return (int)asked; }
            static int result(int code) { return code ? last = code : 0; }
            static int on_device(void) { return result(current < 0 ? 201 : 0); }
            const char *cudaGetErrorName(int code) { return code == 2 ? "cudaErrorMemoryAllocation" : "cudaErrorOther"; }
            const char *cudaGetErrorString(int code) { return code == 2 ? "out of memory" : "other words"; }
            int cudaGetLastError(void) { int code = last; last = 0; return code; }
            int cudaDriverGetVersion(int *v) { *v = DRIVER; return 0; }
            int cudaRuntimeGetVersion(int *v) { *v = RUNTIME; return 0; }
            int cudaGetDeviceCount(int *n) { *n = COUNT < 0 ? 0 : COUNT; return result(COUNT < 0 ? -COUNT : 0); }
            int cudaGetDeviceProperties(char *p, int d) {
                memset(p, 0, 2048);
                strcpy(p, d ? "Second" : "First");
                for (int i = 0; i < 16; i++) p[256 + i] = (char)(16 * d + i);
                *(size_t *)(p + 288) = 1000;
                return 0;
            }
            int cudaDeviceGetAttribute(int *v, int a, int d) { *v = 1000 * a + d; return 0; }
            int cudaDeviceGetPCIBusId(char *p, int n, int d) { strncpy(p, d ? "0000:02:00.0" : "0000:01:00.0", (size_t)n); return 0; }
            int cudaDeviceCanAccessPeer(int *v, int d, int p) { *v = d < p; return 0; }
            int cudaDeviceEnablePeerAccess(int p, unsigned f) {
                static int enabled; (void)f;
                return p > 1 ? result(101) : enabled++ ? result(704) : on_device();
            }
            int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return on_device(); }
            int cudaSetDevice(int d) { if (d > 1) return result(101); current = d; return 0; }
            int cudaMalloc(void **p, size_t n) { if (n > 1000) return result(2); *p = (void *)(4096 + n); return on_device(); }
            int cudaFree(void *p) { asked = (size_t)p; return on_device(); }
            int cudaHostAlloc(void **p, size_t n, unsigned f) { if (n > 1000) return result(2); *p = malloc(n); asked = f; return 0; }
            int cudaFreeHost(void *p) { free(p); return 0; }
            int cudaMemGetInfo(size_t *f, size_t *t) { *f = 600; *t = 1000; return on_device(); }
            int cudaMemcpyAsync(void *t, const void *s, size_t n, int k, handle q) { (void)q; asked = (size_t)k; memcpy(t, s, n); return on_device(); }
            int cudaMemsetAsync(void *t, int v, size_t n, handle q) { (void)q; asked = (size_t)v; memset(t, v, n); return on_device(); }
            int cudaStreamCreateWithPriority(handle *s, unsigned f, int p) { *s = 70 + f; priority = p; return on_device(); }
            int cudaStreamDestroy(handle s) { asked = s; return on_device(); }
            int cudaStreamSynchronize(handle s) { return s == 13 ? result(700) : on_device(); }
            int cudaStreamWaitEvent(handle s, handle e, unsigned f) { (void)f; asked = 100 * s + e; return on_device(); }
            int cudaEventCreateWithFlags(handle *e, unsigned f) { *e = 80 + f; return on_device(); }
            int cudaEventDestroy(handle e) { asked = e; return on_device(); }
            int cudaEventRecord(handle e, handle s) { asked = 100 * e + s; return on_device(); }
            int cudaEventQuery(handle e) { return e == 1 ? result(600) : e == 2 ? result(700) : on_device(); }
            int cudaEventElapsedTime(float *ms, handle a, handle b) { *ms = (float)(b - a) / 4; (void)text; return on_device(); }
            """;

    private final Path library;

    private FakeCudart(Path library) {
        this.library = library;
    }

    /** @param count what cudaGetDeviceCount says; below zero, the code with which it fails */
    static FakeCudart compile(Path folder, int driver, int runtime, int count) throws Exception {
        String source = SOURCE.replace("DRIVER", Integer.toString(driver))
                .replace("RUNTIME", Integer.toString(runtime))
                .replace("COUNT", "(" + count + ")");
        return new FakeCudart(
                CLibrary.compile(folder, "libcudart" + driver + "_" + runtime + "_" + count + ".so", source));
    }

    /** A library without the functions of these names. */
    static Path without(Path folder, String... names) throws Exception {
        List<String> left = tsp_cudart.layout().memberLayouts().stream()
                .map(MemoryLayout::name)
                .map(name -> name.orElseThrow())
                .filter(name -> !List.of(names).contains(name))
                .toList();
        String source = left.stream()
                .map(name -> "int " + name + "(void) { return 0; }\n")
                .collect(Collectors.joining());
        return CLibrary.compile(folder, "libcudart_old.so", source);
    }

    Path library() {
        return library;
    }

    /** {@code device}: the thread's device; {@code last}: the code that nobody asked for; {@code asked}: an argument. */
    int read(String what) throws Throwable {
        return (int) Linker.nativeLinker()
                .downcallHandle(
                        SymbolLookup.libraryLookup(library, Arena.global()).findOrThrow("calls_" + what),
                        FunctionDescriptor.of(ValueLayout.JAVA_INT))
                .invokeExact();
    }
}
