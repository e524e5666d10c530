package io.tsp.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * The OpenMP runtime that oneDNN and our kernels share. The size of a team belongs to the thread that will call native
 * code: each Java thread sets its own, and a thread that never did gets one thread per processor.
 */
public final class Openmp {
    private static final FunctionDescriptor SET = FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT);
    private static final FunctionDescriptor GET = FunctionDescriptor.of(ValueLayout.JAVA_INT);

    private final MethodHandle setThreads;
    private final MethodHandle maxThreads;

    private Openmp(Path library) {
        SymbolLookup symbols = SymbolLookup.libraryLookup(library, Arena.global());
        Linker linker = Linker.nativeLinker();
        setThreads = linker.downcallHandle(symbols.findOrThrow("omp_set_num_threads"), SET);
        maxThreads = linker.downcallHandle(symbols.findOrThrow("omp_get_max_threads"), GET);
    }

    /** Loads the runtime; do this before loading anything that uses it. */
    public static Openmp load(NativeLibraries libraries) {
        return new Openmp(libraries.load(NativeLibrary.OPENMP));
    }

    /** Threads of the teams that the calling thread starts from now on, itself included. */
    public void setThreads(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("A team needs at least one thread, got " + threads);
        }
        try {
            setThreads.invokeExact(threads);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** What {@link #setThreads} last said on the calling thread. */
    public int maxThreads() {
        try {
            return (int) maxThreads.invokeExact();
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private static RuntimeException unexpected(Throwable e) {
        return new IllegalStateException("An OpenMP call of two integers failed in Java: " + e.getMessage(), e);
    }
}
