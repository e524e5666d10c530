package io.tsp.comm.nccl;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tsp.ffm.CublasLt;
import io.tsp.ffm.CudaRuntime;
import io.tsp.ffm.GpuLibraries;
import io.tsp.ffm.GpuLibrary;
import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.Nccl;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** The emulator of NVIDIA's libraries, if this build has made it. */
record Emulator(GpuRuntime runtime, GpuLibraries libraries, KernelTable kernels, Nccl nccl) {
    static Emulator open() {
        Path folder = Path.of(System.getProperty("tsp.emulator.dir", "/nowhere"));
        Path library = folder.resolve("libtsp_cuda_emulator.so");
        assumeTrue(Files.exists(library), "skipped: tsp.emulator.dir names no folder with an emulator of CUDA");
        GpuLibraries libraries = new GpuLibraries(
                Map.of(
                        GpuLibrary.CUDART.variable(),
                        library.toString(),
                        GpuLibrary.CUBLASLT.variable(),
                        library.toString(),
                        GpuLibrary.NCCL.variable(),
                        library.toString()),
                folder,
                Emulator.class.getClassLoader());
        GpuRuntime runtime = CudaRuntime.load(libraries);
        Path kernels = folder.resolve("libtsp_kernels_cuda_emulated.so");
        System.load(kernels.toString());
        return new Emulator(runtime, libraries, KernelTable.open(kernels, null), Nccl.load(libraries));
    }

    CublasLt cublas(int gpu) {
        return CublasLt.load(libraries, runtime, gpu);
    }

    /** Sets a variable that the emulator reads; empty for none. */
    static void set(String name, String value) {
        Linker linker = Linker.nativeLinker();
        FunctionDescriptor type = FunctionDescriptor.of(
                ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
        try (Arena arena = Arena.ofConfined()) {
            int unused = (int) linker.downcallHandle(linker.defaultLookup().findOrThrow("setenv"), type)
                    .invokeExact(arena.allocateFrom(name), arena.allocateFrom(value), 1);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
