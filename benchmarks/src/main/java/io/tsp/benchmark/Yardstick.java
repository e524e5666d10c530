package io.tsp.benchmark;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * What this machine can do at best, measured in the process and on the threads of the benchmark: multiply-adds without
 * memory, and copies. The library is built from {@code benchmarks/native} by {@code scripts/bench}.
 */
final class Yardstick {
    /** System property with the path of the library. */
    static final String LIBRARY = "tsp.benchmark.yardstick";

    /** A measurement lasts milliseconds: the best of a few leaves out those that were interrupted. */
    private static final int ATTEMPTS = 5;

    private final MethodHandle peak;
    private final MethodHandle copyBandwidth;

    private Yardstick(SymbolLookup symbols) {
        Linker linker = Linker.nativeLinker();
        peak = linker.downcallHandle(
                symbols.findOrThrow("tsp_peak_gflops"),
                FunctionDescriptor.of(
                        ValueLayout.JAVA_DOUBLE, ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
        copyBandwidth = linker.downcallHandle(
                symbols.findOrThrow("tsp_copy_bandwidth"),
                FunctionDescriptor.of(
                        ValueLayout.JAVA_DOUBLE,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_INT));
    }

    /** Loads the library after OpenMP, whose threads it shares with the kernels. */
    static Yardstick load() {
        String library = System.getProperty(LIBRARY);
        if (library == null) {
            throw new IllegalStateException("no -D" + LIBRARY
                    + "=LIBRARY names the library that measures limits; run scripts/bench, which builds it");
        }
        return new Yardstick(SymbolLookup.libraryLookup(Path.of(library), Arena.global()));
    }

    /** GFLOP/s with nothing but registers, by the instruction that kernels of this level use for the dtype. */
    double peakGflops(String isa, boolean isBf16, int threads) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(isa);
            double best = 0;
            for (int i = 0; i < ATTEMPTS; i++) {
                best = Math.max(best, (double) peak.invokeExact(name, isBf16 ? 1 : 0, threads));
            }
            return best;
        } catch (Throwable e) {
            throw new IllegalStateException("tsp_peak_gflops failed in Java: " + e.getMessage(), e);
        }
    }

    /** GB/s, read and written bytes counted, of copying one buffer to another. */
    double copyBandwidth(long target, long source, long bytes, int threads) {
        try {
            double best = 0;
            for (int i = 0; i < ATTEMPTS; i++) {
                best = Math.max(best, (double) copyBandwidth.invokeExact(
                        MemorySegment.ofAddress(target), MemorySegment.ofAddress(source), bytes, threads));
            }
            return best;
        } catch (Throwable e) {
            throw new IllegalStateException("tsp_copy_bandwidth failed in Java: " + e.getMessage(), e);
        }
    }
}
